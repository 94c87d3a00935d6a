"""The generated sample: what is said to be planted is there, and it looks like GH Archive."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.sample import MIN_ISSUES_PER_DAY, Sample, write
from pipeline.sample.code_and_logs import CODE, ERRORS, RUNTIMES, TRACES
from pipeline.sample.english_phrases import CIRCUMSTANCES, COMPONENTS, EXTRAS, WISHES
from pipeline.sample.english_symptoms import SYMPTOMS
from pipeline.sample.issue_forms import FORMS, shuffled_forms
from pipeline.sample.issue_problems import Writer, invent_problem
from pipeline.sample.recurring_problems import RECURRING_PROBLEMS
from pipeline.sample.repositories_and_people import LANGUAGES, World
from pipeline.stages.extract_marks import find_marks
from pipeline.warehouse.duckdb import DuckDBWarehouse
from tests.warehouse.events import EXTRACT

Event = dict[str, Any]


@dataclass(frozen=True)
class Read:
    """A sample, and what its files hold."""

    sample: Sample
    planted: dict[str, Any]
    hours: dict[str, list[Event]]  # "2024-01-01-13" -> events
    malformed: dict[str, list[bytes]]

    @property
    def events(self) -> list[Event]:
        return [event for events in self.hours.values() for event in events]

    @property
    def opened(self) -> list[Event]:
        return [
            event
            for event in self.events
            if event["type"] == "IssuesEvent" and event["payload"]["action"] == "opened"
        ]

    @property
    def issues(self) -> list[dict[str, Any]]:
        """Each issue once, as first opened."""
        first: dict[int, dict[str, Any]] = {}
        for event in self.opened:
            first.setdefault(event["payload"]["issue"]["id"], event["payload"]["issue"])
        return list(first.values())

    def body(self, form: str) -> str | None:
        url = self.planted["forms"][form][0]
        bodies: dict[str, str | None] = {issue["html_url"]: issue["body"] for issue in self.issues}
        return bodies[url]


def moment(path: Path) -> tuple[str, int]:
    day, hour = path.name.removesuffix(".json.gz").rsplit("-", 1)
    return day, int(hour)


def read(sample: Sample) -> Read:
    hours: dict[str, list[Event]] = {}
    malformed: dict[str, list[bytes]] = {}
    for path in sorted(sample.directory.glob("*.json.gz"), key=moment):
        name = path.name.removesuffix(".json.gz")
        hours[name] = []
        for line in gzip.decompress(path.read_bytes()).splitlines():
            try:
                value = json.loads(line)
            except ValueError:
                value = None
            if isinstance(value, dict):
                hours[name].append(value)
            else:
                malformed.setdefault(name, []).append(line)
    planted = json.loads((sample.directory / "planted.json").read_text(encoding="utf-8"))
    return Read(sample, planted, hours, malformed)


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Read:
    return read(write(tmp_path_factory.mktemp("sample"), days=2, seed=0))


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def words(text: str | None) -> int:
    return len((text or "").split())


# the same and not the same


def test_the_same_seed_gives_the_same_bytes_with_any_hash_seed(tmp_path: Path) -> None:
    write(tmp_path / "first", days=2, seed=3, issues_per_day=80)
    program = (
        "import sys, pathlib; from pipeline.sample import write; "
        "write(pathlib.Path(sys.argv[1]), days=2, seed=3, issues_per_day=80)"
    )
    environment = os.environ | {"PYTHONHASHSEED": "77", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "second")], check=True, env=environment)
    assert contents(tmp_path / "first") == contents(tmp_path / "second")


def test_another_seed_gives_different_repositories_and_issues(tmp_path: Path) -> None:
    first, second = (
        read(write(tmp_path / str(seed), days=1, seed=seed, issues_per_day=60)) for seed in (1, 2)
    )
    assert {event["repo"]["name"] for event in first.opened} != {
        event["repo"]["name"] for event in second.opened
    }
    assert [issue["body"] for issue in first.issues] != [issue["body"] for issue in second.issues]


def test_the_same_seed_with_a_later_first_day_continues_a_sample(tmp_path: Path) -> None:
    first = read(write(tmp_path / "a", days=1, seed=1, issues_per_day=60))
    second = read(write(tmp_path / "b", days=1, seed=1, first_day=date(2024, 1, 2), issues_per_day=60))
    assert {event["id"] for event in first.events}.isdisjoint(event["id"] for event in second.events)
    assert {issue["id"] for issue in first.issues}.isdisjoint(issue["id"] for issue in second.issues)
    assert {issue["html_url"] for issue in first.issues}.isdisjoint(
        issue["html_url"] for issue in second.issues
    )
    assert {event["repo"]["id"] for event in first.opened} & {event["repo"]["id"] for event in second.opened}


# files and lines


def test_every_day_has_24_hour_files_except_the_missing_one(two_days: Read) -> None:
    every = [f"2024-01-{day:02}-{hour}" for day in (1, 2) for hour in range(24)]
    [missing] = two_days.planted["missing_hours"]
    assert missing.startswith("2024-01-02-")
    assert list(two_days.hours) == [hour for hour in every if hour != missing]
    assert two_days.planted["days"] == ["2024-01-01", "2024-01-02"]


def test_a_sample_of_one_day_has_a_missing_hour(tmp_path: Path) -> None:
    only = read(write(tmp_path, days=1, seed=5, first_day=date(2023, 12, 31), issues_per_day=60))
    [missing] = only.planted["missing_hours"]
    assert missing.startswith("2023-12-31-")
    assert len(only.hours) == 23
    assert only.planted["opened_again_next_day"] == []


def test_malformed_lines_are_in_one_hour(two_days: Read) -> None:
    [hour] = two_days.planted["malformed_hours"]
    assert list(two_days.malformed) == [hour]
    lines = two_days.malformed[hour]
    assert len(lines) == two_days.planted["malformed_lines"]
    assert {line[:1] for line in lines} == {b"{", b"<", b"[", b"}"}


def test_every_event_has_the_fields_of_gh_archive(two_days: Read) -> None:
    fields = {"id", "type", "actor", "repo", "payload", "public", "created_at"}
    assert [event for event in two_days.events if set(event) != fields] == []
    assert [
        event
        for event in two_days.events
        if not {"id", "login"} <= set(event["actor"]) or not {"id", "name"} <= set(event["repo"])
    ] == []


def test_every_event_happens_in_the_hour_of_its_file(two_days: Read) -> None:
    for hour, events in two_days.hours.items():
        for event in events:
            created = datetime.strptime(event["created_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            assert f"{created:%Y-%m-%d}-{created.hour}" == hour


def test_event_ids_increase_with_time(two_days: Read) -> None:
    ids = [int(event["id"]) for event in two_days.events]
    assert all(earlier < later for earlier, later in pairwise(ids))


def test_issue_numbers_increase_in_each_repository(two_days: Read) -> None:
    numbers: dict[str, list[int]] = {}
    for issue in two_days.issues:
        numbers.setdefault(issue["html_url"].split("/issues/")[0], []).append(issue["number"])
    assert [repo for repo, opened in numbers.items() if opened != sorted(set(opened))] == []


def test_the_counts_that_write_returns(two_days: Read) -> None:
    sample = two_days.sample
    assert (sample.files, sample.events, sample.issues) == (
        len(two_days.hours),
        len(two_days.events),
        len(two_days.issues),
    )
    assert sample.days == [date(2024, 1, 1), date(2024, 1, 2)]
    assert sample.issues == 1200


def test_events_have_many_types_and_are_five_to_eight_times_as_many_as_issues(two_days: Read) -> None:
    kinds = Counter((event["type"], event["payload"].get("action")) for event in two_days.events)
    assert {
        ("IssuesEvent", "closed"),
        ("IssuesEvent", "reopened"),
        ("IssueCommentEvent", "created"),
        ("PullRequestEvent", "opened"),
        ("PushEvent", None),
        ("WatchEvent", "started"),
        ("CreateEvent", None),
        ("ForkEvent", None),
    } <= set(kinds)
    assert 5 < len(two_days.events) / len(two_days.issues) < 8


def test_a_day_is_smaller_than_1_5_megabytes(two_days: Read) -> None:
    sizes: Counter[str] = Counter()
    for path in two_days.sample.directory.glob("*.json.gz"):
        sizes[moment(path)[0]] += path.stat().st_size
    assert max(sizes.values()) < 1_500_000


def test_lines_are_partly_ascii_and_partly_utf_8(two_days: Read) -> None:
    path = two_days.sample.directory / "2024-01-01-12.json.gz"
    text = gzip.decompress(path.read_bytes())
    assert any(byte > 127 for byte in text)
    assert re.search(rb"\\u[0-9a-f]{4}", text)


# issues


def test_there_are_more_than_100_repositories_all_invented(two_days: Read) -> None:
    names = {event["repo"]["name"] for event in two_days.opened}
    assert len(names) >= 100
    assert [
        name
        for name in names
        if not re.match(r"(pretend|imaginary|fictional|makebelieve|invented)-[a-z]+/[a-z]+-[a-z]+$", name)
    ] == []


def test_most_issues_are_trainable(two_days: Read) -> None:
    good = [
        issue
        for issue in two_days.issues
        if words(issue["body"]) >= 6
        and words(issue["title"]) >= 3
        and len(issue["body"]) <= 2000
        and len(issue["title"]) <= 400
    ]
    assert 0.6 < len(good) / len(two_days.issues) < 0.9


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("trace", r"```(python|java|javascript|rust|go)\n"),
        ("template", r"### Describe the problem\n"),
        ("log", r"(INFO|DEBUG|WARN|ERROR) "),
        ("html", r"<details><summary>"),
        ("table", r"\|------\|"),
        ("emoji", "[\u2728\U0001f41b\U0001f525\U0001f680]"),
        ("carriage returns", r"\r\n"),
        ("backslashes", r"c:\\new\\table"),
        ("addresses", r"https://docs\.example\.org/.*@mail\.example\.net"),
        ("lone surrogate", "\ud83d$"),
        ("nul", "a\x00b"),
        ("russian", "[а-я]{4}"),  # noqa: RUF001 (Cyrillic is meant)
        ("chinese", "[\u4e00-\u9fff]{4}"),
        ("japanese", "[\u3040-\u30ff]{2}"),
        ("korean", "[\uac00-\ud7a3]{2}"),
        ("arabic", "[\u0620-\u064a]{3}"),
        ("hebrew", "[\u05d0-\u05ea]{3}"),
        ("endless", r"(?s).{2001}"),
        ("empty body", r"^$"),
        ("bot", "program|nightly build|vulnerability"),
    ],
)
def test_every_form_of_issue_occurs(two_days: Read, form: str, pattern: str) -> None:
    body = two_days.body(form)
    assert body is not None
    assert re.search(pattern, body)


@pytest.mark.parametrize(
    "start",
    ["Traceback (most", 'Exception in thread "main"', "    at ", "thread 'main' panicked", "goroutine "],
)
def test_stack_traces_come_from_five_languages(two_days: Read, start: str) -> None:
    assert any(start in (issue["body"] or "") for issue in two_days.issues)


def test_template_comments_stay(two_days: Read) -> None:
    assert any((issue["body"] or "").startswith("<!--") for issue in two_days.issues)


def test_null_bodies_are_null(two_days: Read) -> None:
    without = [issue["html_url"] for issue in two_days.issues if issue["body"] is None]
    assert sorted(without) == sorted(two_days.planted["forms"]["null body"])
    assert len(without) == 48


def test_bots_open_issues_under_their_own_names(two_days: Read) -> None:
    bots = {
        event["payload"]["issue"]["html_url"]
        for event in two_days.opened
        if event["actor"]["login"].endswith("[bot]")
    }
    assert bots == set(two_days.planted["forms"]["bot"])


def test_people_of_all_associations_open_issues_and_most_have_none(two_days: Read) -> None:
    shares = Counter(issue["author_association"] for issue in two_days.issues)
    assert shares.keys() == {"OWNER", "MEMBER", "COLLABORATOR", "CONTRIBUTOR", "NONE"}
    assert 0.5 < shares["NONE"] / shares.total() < 0.7


def test_a_person_has_one_association_with_a_repository(two_days: Read) -> None:
    associations = defaultdict[tuple[str, str], set[str]](set)
    for issue in two_days.issues:
        repo = issue["html_url"].partition("/issues/")[0]
        associations[issue["user"]["login"], repo].add(issue["author_association"])
    assert {len(each) for each in associations.values()} == {1}


def test_titles_rarely_occur_in_the_body(two_days: Read) -> None:
    copied = [issue for issue in two_days.issues if issue["title"].lower() in (issue["body"] or "").lower()]
    assert len(copied) < 0.02 * len(two_days.issues)


# what was planted


def test_near_duplicates_point_from_the_newer_issue_to_the_older(two_days: Read) -> None:
    place = {issue["html_url"]: number for number, issue in enumerate(two_days.issues)}
    pairs = two_days.planted["duplicates"]
    assert len(pairs) >= 30
    assert [tuple(pair) for pair in pairs] == two_days.sample.duplicates
    assert [pair for pair in pairs if not place[pair[0]] > place[pair[1]]] == []


def test_near_duplicates_are_mostly_but_not_always_in_one_repository(tmp_path: Path) -> None:
    pairs = write(tmp_path, days=4, seed=0).duplicates
    same_repository = [newer.split("/issues/")[0] == older.split("/issues/")[0] for newer, older in pairs]
    assert 0.7 < sum(same_repository) / len(same_repository) < 1


def test_near_duplicates_use_different_words(two_days: Read) -> None:
    texts = {issue["html_url"]: (issue["title"].lower(), issue["body"]) for issue in two_days.issues}
    for newer, older in two_days.planted["duplicates"]:
        assert texts[newer][0] != texts[older][0]
        assert texts[newer][1] != texts[older][1]


def test_recurring_problems_are_reported_again_in_other_words(two_days: Read) -> None:
    problems = [problem for of_kind in RECURRING_PROBLEMS.values() for problem in of_kind]
    problem_of = {title: number for number, problem in enumerate(problems) for title, _ in problem.reports}
    titles = {issue["html_url"]: issue["title"].removeprefix("[BUG] ") for issue in two_days.issues}
    again = [
        (titles[newer], titles[older])
        for newer, older in two_days.planted["duplicates"]
        if titles[newer] in problem_of
    ]
    assert len(again) >= 8
    assert [pair for pair in again if problem_of[pair[0]] != problem_of[pair[1]] or pair[0] == pair[1]] == []


def test_every_kind_of_repository_has_recurring_problems_with_several_reports() -> None:
    assert set(RECURRING_PROBLEMS) == set(COMPONENTS)
    problems = [problem for of_kind in RECURRING_PROBLEMS.values() for problem in of_kind]
    assert [problem for problem in problems if len({title for title, _ in problem.reports}) < 3] == []


def test_some_near_duplicates_are_marked_by_people_of_all_kinds(two_days: Read) -> None:
    marks = two_days.planted["marks"]
    assert {(newer, older) for newer, older, _ in marks} <= set(map(tuple, two_days.planted["duplicates"]))
    assert len(marks) >= 10
    assert {said_by for _, _, said_by in marks} == {"member", "author", "bot", "other"}


def test_the_extraction_finds_the_marks_and_no_mere_mention(two_days: Read) -> None:
    days = [(date(2024, 1, day), f"2024-01-0{day}-*.json.gz") for day in (1, 2)]
    rows = []
    for day, pattern in days:
        files = sorted(two_days.sample.directory.glob(pattern))
        comments = DuckDBWarehouse("nowhere").extract(EXTRACT, day, files).comments
        assert len(comments) > 2 * len(find_marks(comments)[0])  # most are mere mentions
        rows += find_marks(comments)[0].to_pylist()
    url = "https://github.com/{duplicate_of_repo}/issues/{duplicate_of_number}"
    assert sorted([row["issue_url"], url.format(**row), row["said_by"]] for row in rows) == sorted(
        two_days.planted["marks"]
    )


def test_issues_opened_twice_have_one_id_two_events_and_two_titles(two_days: Read) -> None:
    times = Counter(event["payload"]["issue"]["id"] for event in two_days.opened)
    twice = {number for number, count in times.items() if count > 1}
    events = [
        event["payload"]["issue"] for event in two_days.opened if event["payload"]["issue"]["id"] in twice
    ]
    assert {issue["html_url"] for issue in events} == set(two_days.planted["opened_twice"])
    assert len(events) == 2 * len(two_days.planted["opened_twice"]) == 14
    for number in twice:
        first, second = (issue["title"] for issue in events if issue["id"] == number)
        assert second == f"{first} (edited)"


def test_one_issue_is_opened_again_on_the_following_day(two_days: Read) -> None:
    [url] = two_days.planted["opened_again_next_day"]
    days = [
        event["created_at"][:10] for event in two_days.opened if event["payload"]["issue"]["html_url"] == url
    ]
    assert days == ["2024-01-01", "2024-01-02"]


# misuse


def test_an_existing_file_for_the_missing_hour_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, days=1, seed=1, issues_per_day=60)
    with pytest.raises(UsageError, match="its hour must be missing in the sample"):
        write(tmp_path, days=1, seed=2, issues_per_day=60)


def test_a_directory_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file, expected a folder"):
        write(tmp_path / "file")


@pytest.mark.parametrize(("days", "issues"), [(0, 600), (-1, 600), (1, MIN_ISSUES_PER_DAY - 1), (1, 10_001)])
def test_too_few_days_or_issues_are_an_error(tmp_path: Path, days: int, issues: int) -> None:
    with pytest.raises(UsageError):
        write(tmp_path / "none", days=days, issues_per_day=issues)
    assert not (tmp_path / "none").exists()


# the grammar


@given(count=st.integers(MIN_ISSUES_PER_DAY, 3000), seed=st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_shuffled_forms_have_the_requested_number_and_every_form(count: int, seed: int) -> None:
    drawn = shuffled_forms(Random(seed), count)
    assert len(drawn) == count
    assert set(drawn) == set(FORMS)


def test_all_wordings_have_two_voices() -> None:
    wordings = [words for names in COMPONENTS.values() for words in names.values()]
    wordings += [
        words for symptom in SYMPTOMS for words in (symptom.titles, symptom.openings, symptom.expected)
    ]
    wordings += [words for pair in CIRCUMSTANCES for words in pair] + [words for _, words in WISHES]
    assert [words for words in wordings if len(words) < 2 or set(words[::2]) & set(words[1::2])] == []
    assert len(set(EXTRAS)) == len(EXTRAS)


def test_every_language_has_errors_runtimes_code_and_traces() -> None:
    assert [set(table) for table in (ERRORS, RUNTIMES, CODE, TRACES)] == [set(LANGUAGES)] * 4


@given(seed=st.integers(0, 10_000), voice=st.sampled_from((0, 1)))
@settings(max_examples=200, deadline=None)
def test_a_text_about_a_problem_has_no_empty_slot(seed: int, voice: int) -> None:
    random = Random(seed)
    writer = Writer(random, invent_problem(random, WORLD.repository(random)), voice)
    text = " ".join([writer.title(), writer.opening(), writer.expected(), *writer.extras(4)])
    assert not re.search(r"[{}]", text)


WORLD = World(Random(0))
