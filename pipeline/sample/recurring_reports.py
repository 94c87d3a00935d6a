"""Chooses some issues of the sample, and rewrites them as reports of a recurring problem."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

from pipeline.sample.code_and_logs import fence
from pipeline.sample.english_phrases import EXTRAS, SYSTEMS
from pipeline.sample.events import Issue
from pipeline.sample.issue_problems import capital, fill
from pipeline.sample.recurring_problems import RECURRING_PROBLEMS
from pipeline.sample.repositories_and_people import World

REPORT_SHARE = 0.8
"""Share of a repository's plain issues that become reports, as long as it has reports left."""


@dataclass
class RecurringReports:
    """Rewrites some issues of a sample, so that they report a problem that several people have.

    No other class may use the random generator `random`. Otherwise the issues that are not rewritten would
    differ from those of a sample without recurring reports.
    """

    random: Random
    world: World
    _reports: dict[str, Iterator[tuple[str, str, bool]]] = field(default_factory=dict)
    _first_urls: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind, problems in RECURRING_PROBLEMS.items():
            repo = next(repo for repo in self.world.repositories if repo.kind == kind)
            self._reports[repo.name] = iter(
                [
                    (title, f"{body}\n\n{fence(problem.output)}", place == 0)
                    for problem in self.random.sample(problems, len(problems))
                    for place, (title, body) in enumerate(
                        self.random.sample(problem.reports, len(problem.reports))
                    )
                ]
            )

    def rewrite(self, issue: Issue) -> tuple[Issue, str | None]:
        """Rewrites the issue as a report of a recurring problem, or leaves it as it is, by chance.

        Returns a pair: the issue, and the URL of the first report of the same problem. The URL is None if the
        issue itself is the first report, or if it was not rewritten.
        """
        name = issue.repo.name
        if name not in self._reports or self.random.random() >= REPORT_SHARE:
            return issue, None
        report = next(self._reports[name], None)
        if report is None:
            return issue, None
        title, body, is_first = report
        if is_first:
            self._first_urls[name] = issue.url
        tag = "[BUG] " if issue.repo.habit == "tagged" else ""
        extra = fill(self.random, self.random.choice(EXTRAS), **self._slots())
        rewritten = replace(issue, title=tag + title, body=f"{body}\n\n{capital(extra)}")
        return rewritten, None if is_first else self._first_urls[name]

    def _slots(self) -> dict[str, str]:
        version = f"{self.random.randint(1, 6)}.{self.random.randint(1, 19)}"
        return {"old": "the last release", "v": version, "os": self.random.choice(SYSTEMS)}
