"""The literal values of a report about a release, with every section and with hostile texts."""

from __future__ import annotations

from pipeline.serving.report.values import (
    ChangedDays,
    Check,
    Cluster,
    Comparison,
    CurvePoint,
    Drift,
    ExtractionCost,
    Hour,
    Issue,
    Neighbourhood,
    Neighbours,
    ReleaseValues,
    SampleGroup,
    Score,
    SourceDay,
    SourceHealth,
    StoredTable,
    Suggestion,
    TitleQuality,
    TitleSample,
    VerbUsage,
)
from pipeline.usage import Usage

HOSTILE_TEXTS = (
    "<script>document.title = 'attacked'</script>",
    "</script><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" autofocus="',
    "</title></style></svg><form action=//evil.example><input>",
    "{{ 7 * 7 }} {% raw %} {# comment #}",
    "safe\u202egnp.exe\u202c and \u2066isolated\u2069",
    "NUL \x00, bell \x07, escape \x1b[31m, a lone surrogate \ud800",
    "W" * 10_000,
    "\u0647\u0630\u0627 \u0639\u0646\u0648\u0627\u0646",
)


def issue(title: str, url: str = "https://github.com/owner/name/issues/1") -> Issue:
    """An issue of the repository owner/name."""
    return Issue(url, "owner/name", title)


def sample(title: str, predicted: str = "predicted title", body: str = "A body.") -> TitleSample:
    """A predicted title, or none if `predicted` is empty."""
    return TitleSample(issue(title), body, predicted, 0.42, 0.61, 38.5 if predicted else None)


def source_day(day: str, verdict: str = "complete", missing: int = 0) -> SourceDay:
    """A source day that lacks its first `missing` hours."""
    hours = [Hour("missing")] * missing + [Hour("counted", 100 + 10 * hour) for hour in range(missing, 24)]
    reason = f"{24 - missing} of 24 hours found" if missing else None
    return SourceDay(day, verdict, reason, tuple(hours), 4000, 120, 3)


def drift_figure(name: str, values: tuple[float | None, ...], earlier: float | None) -> Drift:
    """A figure of the days from 2024-01-01 on. The last of them is new."""
    days = tuple(f"2024-01-{number:02d}" for number in range(1, len(values) + 1))
    is_new = tuple(number == len(values) - 1 for number in range(len(values)))
    return Drift(name, "What it measures.", "decimal", days, values, is_new, values[-1], earlier)


def report_values(texts: tuple[str, ...] = HOSTILE_TEXTS) -> ReleaseValues:
    """The values of a report in which every text of a stranger is one of `texts`."""
    issues = tuple(issue(text) for text in texts)
    suggestions = tuple(
        Suggestion(
            each,
            "repository" if number % 2 else "everywhere",
            0.9 - number / 20,
            each.title,
            number,
            number < 2,
        )
        for number, each in enumerate(issues)
    )
    return ReleaseValues(
        release_id="20240110T031200Z",
        published_at="2024-01-10T03:20:00.000000+00:00",
        published_by=texts[0],
        previous="20240109T031200Z",
        issues=12_345,
        days=9,
        first_day="2024-01-01",
        last_day="2024-01-09",
        model="m20240105",
        comparisons=(
            Comparison("Source days", "count", 9, 8),
            Comparison("Issues", "count", 12_345, 12_001),
            Comparison("Issues without a title", "share", 0.081, 0.085),
            Comparison("Model", "text", "m20240105", "m20240101"),
        ),
        changed_days=ChangedDays(1, 0, 0, ("2024-01-09",)),
        tables=(
            StoredTable("issues_v1", 9, 12_345, 9_876_543, 1),
            StoredTable("similar_issues_v2", 9, 98_765, 123_456, 1),
            StoredTable("segments_v1", 1, 12_345, 23_456_789, 1),
        ),
        health=SourceHealth(
            (("complete", 7), ("partial", 2)),
            (
                *(source_day(f"2024-01-{number:02d}") for number in range(1, 9)),
                source_day("2024-01-09", "partial", 5),
            ),
            (source_day("2023-11-01", "partial", 1),),
            1,
        ),
        checks=(
            Check("Recall@10 of the index", "0.981", "at least 0.9", "passed", "Measured on 1,000 issues."),
            Check("Collapsed source days", "1", "0, or accepted", "accepted", texts[0]),
        ),
        titles=TitleQuality(
            1_000,
            (Score("ROUGE-L", "Words in common.", 31.4, 15.6, "the body's first words", 100),),
            None,
            (CurvePoint(0.12, 0.1, 400), CurvePoint(0.52, 0.47, 200), CurvePoint(0.83, 0.9, 30)),
            0.031,
            "2024-01-09",
            (
                SampleGroup("Best", "The best.", tuple(sample(text, text, text) for text in texts)),
                SampleGroup("Abstained", "No title.", tuple(sample(text, "") for text in texts)),
            ),
        ),
        neighbours=Neighbours(
            "2024-01-03",
            "2024-01-09",
            (Cluster(issues, 0.62), Cluster((issues[0], issues[1]), 0.91)),
            2,
            len(issues) + 2,
            "terms-2-default",
            (CurvePoint(0.05, 0.04, 900), CurvePoint(0.61, 0.5, 80)),
            (Neighbourhood(issues[0], suggestions),),
        ),
        drift=(
            drift_figure("Confidence", (0.41, 0.43, None, 0.42, 0.4, 0.44, 0.39, 0.42, 0.31), 0.42),
            drift_figure("Never changes", (0.5,) * 9, 0.5),
        ),
        verbs=(
            VerbUsage("embed", Usage(15.25, 28.5, 512.0, 0.0)),
            VerbUsage("predict", Usage(187.0, 351.0, 400.5, 730.25)),
        ),
        extraction=ExtractionCost(1, 3_650_722_201, 0.0208),
    )
