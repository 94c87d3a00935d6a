"""Generates the events of a sample's days: opened issues, later events of these issues, and unrelated
events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from itertools import count
from random import Random

from pipeline.sample.duplicate_comments import DuplicateComments
from pipeline.sample.events import OTHER_EVENTS, Event, Issue, comment_event, issue_event, pull_request
from pipeline.sample.issue_forms import FORMS, shuffled_forms
from pipeline.sample.issue_problems import Problem, invent_new_problem, invent_problem
from pipeline.sample.recurring_reports import RecurringReports
from pipeline.sample.repositories_and_people import Repository, World

NUMBERS_PER_DAY = 100  # by this much, the first issue number of a day exceeds that of the day before
IDS_PER_DAY = 100_000
EPOCH = date(2020, 1, 1)
HOURLY_ACTIVITY = (
    5,
    4,
    4,
    4,
    4,
    5,
    6,
    8,
    9,
    10,
    10,
    9,
    9,
    11,
    12,
    12,
    11,
    10,
    9,
    9,
    8,
    8,
    7,
    6,
)  # weight of each hour of the day (UTC)

FORMS_WITH_DUPLICATES = ("plain", "template", "log")  # the forms that near-duplicates have
DUPLICATE_EVERY = 12  # one in this many issues of these forms is a near-duplicate
MAX_CANDIDATES = 8  # problems that a later issue may repeat
OPENED_TWICE_PER_DAY = 3  # issues per day that get a second `opened` event


@dataclass(frozen=True)
class DuplicateCandidate:
    """A problem that an issue has reported. If a later issue reports it again with different words, the later
    issue is a near-duplicate.

    `repo`, `voice` (style of writing) and `url` describe the first issue about the problem.
    """

    problem: Problem
    repo: Repository
    voice: int
    url: str


@dataclass
class Calendar:
    """Generates the events of a sample, one day after another.

    An issue can have events on several days. There is no event in the hour that begins at `missing`.
    `duplicate_comments` rewrites some comments so that they mention another issue. `recurring_reports`
    rewrites some issues so that they report problems that several people have.

    These attributes list the URLs of generated issues:

    - `duplicates`: pairs (newer URL, older URL) of issues that report the same problem.
    - `marks`: (newer URL, older URL, who marked the newer issue as a duplicate).
    - `opened_twice`: issues that have two `opened` events.
    - `opened_again_next_day`: those of `opened_twice` whose second event is on the next day.
    - `by_form`: maps the form of an issue, such as "null body", to URLs.
    """

    random: Random
    world: World
    missing: datetime
    duplicate_comments: DuplicateComments
    recurring_reports: RecurringReports
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    marks: list[tuple[str, str, str]] = field(default_factory=list)
    opened_twice: list[str] = field(default_factory=list)
    opened_again_next_day: list[str] = field(default_factory=list)
    by_form: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _carried: dict[date, list[Event]] = field(default_factory=lambda: defaultdict(list))
    _numbers: dict[str, int] = field(default_factory=dict)
    _used_problems: set[tuple[str, tuple[str, str]]] = field(default_factory=set)
    _duplicate_candidates: list[DuplicateCandidate] = field(default_factory=list)
    _counter: count[int] = field(default_factory=count)

    def day(self, day: date, issues: int, last: bool) -> list[Event]:
        """Returns the events of `day` in order of time. `issues` is the number of new issues.

        `last` says whether `day` is the last day of the sample. An event that would happen after the last day
        is left out.
        """
        issue_moments, noise_moments = self._moments(day, issues), self._moments(day, issues * 3)
        pull_moments = self._moments(day, issues // 2)
        names = iter(shuffled_forms(self.random, issues))
        ids = count((day.toordinal() * IDS_PER_DAY) + 1)
        events: list[Event] = []
        opened: list[Issue] = []
        kinds = list(OTHER_EVENTS)
        weights = [parts for parts, _ in OTHER_EVENTS.values()]
        moments = (
            [(m, "issue") for m in issue_moments]
            + [(m, "pull") for m in pull_moments]
            + [(m, "noise") for m in noise_moments]
        )
        for moment, subject in sorted(moments):
            if subject == "issue":
                issue = self._open(next(names), next(ids), moment)
                opened.append(issue)
                events.append(issue_event("opened", issue, moment, issue.author))
                continue
            repo, actor = self.world.repository(self.random), self.world.person(self.random)
            if subject == "pull":
                payload = pull_request(self.random, repo, actor, self._number(repo, moment), moment)
                events.append(Event(moment, "PullRequestEvent", actor, repo, payload))
            else:
                kind = self.random.choices(kinds, weights)[0]
                events.append(
                    Event(moment, kind, actor, repo, OTHER_EVENTS[kind][1](self.random, repo, actor))
                )
        later = [event for issue in opened for event in self._follow(issue)]
        later += self._open_again(opened, day, last)
        for event in later:
            if self._has_file(event.moment):
                self._carried[event.moment.date()].append(event)
        events = sorted(events + self._carried.pop(day, []), key=lambda event: event.moment)
        marks = self.duplicate_comments.marks
        addresses = [event.payload.get("comment", {}).get("html_url") for event in events]
        self.marks += [marks[address] for address in addresses if address in marks]
        return events

    def _has_file(self, moment: datetime) -> bool:
        return not self.missing <= moment < self.missing + timedelta(hours=1)

    def _moments(self, day: date, number: int, earliest: datetime = datetime.min) -> list[datetime]:
        """Returns `number` distinct random times of the day, in whole seconds, sorted. All of them are later
        than `earliest`, and none of them is in the hour that must have no file."""
        midnight = datetime.combine(day, time())
        moments: set[datetime] = set()
        while len(moments) < number:
            hour = self.random.choices(range(24), HOURLY_ACTIVITY)[0]
            moment = midnight + timedelta(hours=hour, seconds=self.random.randrange(3600))
            if self._has_file(moment) and moment > earliest:
                moments.add(moment)
        return sorted(moments)

    def _number(self, repo: Repository, moment: datetime) -> int:
        start = repo.first_number + max(0, (moment.date() - EPOCH).days) * NUMBERS_PER_DAY
        self._numbers[repo.name] = max(start, self._numbers.get(repo.name, 0) + 1)
        return self._numbers[repo.name]

    def _open(self, form: str, issue_id: int, moment: datetime) -> Issue:
        random, world = self.random, self.world
        is_duplicate = (
            form in FORMS_WITH_DUPLICATES
            and bool(self._duplicate_candidates)
            and next(self._counter) % DUPLICATE_EVERY == DUPLICATE_EVERY - 1
        )
        if is_duplicate:
            older = self._duplicate_candidates.pop(random.randrange(len(self._duplicate_candidates)))
            repo = older.repo if random.random() < 0.9 else world.neighbour(random, older.repo)
            problem, voice = older.problem, 1 - older.voice
        else:
            repo, voice = world.repository(random), int(random.random() < 0.3)
            problem = (
                invent_new_problem(random, repo, self._used_problems)
                if form != "bot"
                else invent_problem(random, repo)
            )
        text = FORMS[form][1](random, problem, repo, voice)
        author = world.bot(random) if form == "bot" else world.person(random)
        issue = Issue(issue_id, self._number(repo, moment), repo, text.title, text.body, author, moment)
        self.by_form[form].append(issue.url)
        if is_duplicate:
            self.duplicates.append((issue.url, older.url))
        elif form in FORMS_WITH_DUPLICATES and len(self._duplicate_candidates) < MAX_CANDIDATES:
            self._duplicate_candidates.append(DuplicateCandidate(problem, repo, voice, issue.url))
        elif form == "plain":
            issue, first_report = self.recurring_reports.rewrite(issue)
            if first_report:
                self.duplicates.append((issue.url, first_report))
        return issue

    def _follow(self, issue: Issue) -> Iterable[Event]:
        """Yields the later events of an issue: comments and, for some issues, a closing and a reopening."""
        random, moment, older_of = self.random, issue.opened, dict(self.duplicates)
        for _ in range(random.choices((0, 1, 2, 3, 4), (50, 25, 13, 8, 4))[0]):
            moment += timedelta(seconds=1 + int(random.expovariate(1 / 7200)))
            comment = comment_event(random, issue, moment, self.world.person(random))
            yield self.duplicate_comments.rewrite(comment, issue, older_of)
        if random.random() < 0.35:
            moment += timedelta(seconds=1 + int(random.expovariate(1 / 18000)))
            yield issue_event("closed", issue, moment, issue.author)
            if random.random() < 0.1:
                moment += timedelta(seconds=1 + int(random.expovariate(1 / 7200)))
                yield issue_event("reopened", issue, moment, issue.author)

    def _open_again(self, opened: list[Issue], day: date, last: bool) -> Iterable[Event]:
        """Yields a second `opened` event, with another title, for some of the issues that were opened on
        `day`.

        One of these events is on the next day, unless `day` is the last day of the sample. The other events
        are on `day`.
        """
        early = [issue for issue in opened[: len(opened) // 2] if issue.body]
        for place, issue in enumerate(self.random.sample(early, OPENED_TWICE_PER_DAY + (not last))):
            tomorrow = place == OPENED_TWICE_PER_DAY
            moment = (
                self._moments(day + timedelta(days=1), 1)[0]
                if tomorrow
                else self._moments(day, 1, earliest=issue.opened)[0]
            )
            self.opened_twice.append(issue.url)
            if tomorrow:
                self.opened_again_next_day.append(issue.url)
            yield issue_event("opened", replace(issue, title=f"{issue.title} (edited)"), moment, issue.author)
