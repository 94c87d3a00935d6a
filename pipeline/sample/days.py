"""A day of events: issues opened, what follows on them, and what else goes on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from itertools import count
from random import Random

from pipeline.sample.events import NOISE, Event, Issue, comment_event, issue_event, pull_request
from pipeline.sample.forms import FORMS, deck
from pipeline.sample.problems import Problem, invent, invent_new
from pipeline.sample.world import Repository, World

NUMBERS_A_DAY = (
    100  # an issue's number begins here times the days since EPOCH: later days have higher numbers
)
IDS_A_DAY = 100_000
EPOCH = date(2020, 1, 1)
BUSY = (
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
)  # an hour's share of a day (UTC)

TOLD_AGAIN = ("plain", "template", "log")  # forms in which near-duplicates come
EVERY = 12  # of the issues in these forms, one in so many is told again
WAITING = 8  # problems that wait to be told again
OPENED_TWICE = 3  # issues a day


@dataclass(frozen=True)
class Told:
    """A problem that may be told again: where it was told, and in which voice."""

    problem: Problem
    repo: Repository
    voice: int
    url: str


@dataclass
class Calendar:
    """Writes one day after another; what reaches into the next day is kept for it.

    `missing` is an hour in which nothing may happen. What was planted is found in `duplicates` (newer address, older address),
    `opened_twice` and `by_form` (the name of a form -> addresses).
    """

    random: Random
    world: World
    missing: datetime
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    opened_twice: list[str] = field(default_factory=list)
    opened_again_next_day: list[str] = field(default_factory=list)
    by_form: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _carried: dict[date, list[Event]] = field(default_factory=lambda: defaultdict(list))
    _numbers: dict[str, int] = field(default_factory=dict)
    _known: set[tuple[str, tuple[str, str]]] = field(default_factory=set)
    _waiting: list[Told] = field(default_factory=list)
    _candidates: count[int] = field(default_factory=count)

    def day(self, day: date, issues: int, last: bool) -> list[Event]:
        """The day's events in the order of their moments, with `issues` new issues.

        Anything that happens later than this day is dropped when it is the `last`.
        """
        issue_moments, noise_moments = self._moments(day, issues), self._moments(day, issues * 3)
        pull_moments = self._moments(day, issues // 2)
        names = iter(deck(self.random, issues))
        ids = count((day.toordinal() * IDS_A_DAY) + 1)
        events: list[Event] = []
        opened: list[Issue] = []
        kinds = list(NOISE)
        weights = [parts for parts, _ in NOISE.values()]
        moments = (
            [(m, "issue") for m in issue_moments]
            + [(m, "pull") for m in pull_moments]
            + [(m, "noise") for m in noise_moments]
        )
        for moment, what in sorted(moments):
            if what == "issue":
                issue = self._open(next(names), next(ids), moment)
                opened.append(issue)
                events.append(issue_event("opened", issue, moment, issue.author))
                continue
            repo, actor = self.world.repository(self.random), self.world.person(self.random)
            if what == "pull":
                payload = pull_request(self.random, repo, actor, self._number(repo, moment), moment)
                events.append(Event(moment, "PullRequestEvent", actor, repo, payload))
            else:
                kind = self.random.choices(kinds, weights)[0]
                events.append(Event(moment, kind, actor, repo, NOISE[kind][1](self.random, repo, actor)))
        later = [event for issue in opened for event in self._follow(issue)]
        later += self._open_again(opened, day, last)
        for event in later:
            if self._exists(event.moment):
                self._carried[event.moment.date()].append(event)
        return sorted(events + self._carried.pop(day, []), key=lambda event: event.moment)

    def _exists(self, moment: datetime) -> bool:
        return not self.missing <= moment < self.missing + timedelta(hours=1)

    def _moments(self, day: date, number: int, after: datetime = datetime.min) -> list[datetime]:
        """So many different seconds of the day, sorted, none in the missing hour."""
        midnight = datetime.combine(day, time())
        found: set[datetime] = set()
        while len(found) < number:
            hour = self.random.choices(range(24), BUSY)[0]
            moment = midnight + timedelta(hours=hour, seconds=self.random.randrange(3600))
            if self._exists(moment) and moment > after:
                found.add(moment)
        return sorted(found)

    def _number(self, repo: Repository, moment: datetime) -> int:
        start = repo.first_number + max(0, (moment.date() - EPOCH).days) * NUMBERS_A_DAY
        self._numbers[repo.name] = max(start, self._numbers.get(repo.name, 0) + 1)
        return self._numbers[repo.name]

    def _open(self, form: str, issue_id: int, moment: datetime) -> Issue:
        random, world = self.random, self.world
        again = form in TOLD_AGAIN and bool(self._waiting) and next(self._candidates) % EVERY == EVERY - 1
        if again:
            older = self._waiting.pop(random.randrange(len(self._waiting)))
            repo = older.repo if random.random() < 0.9 else world.neighbour(random, older.repo)
            problem, voice = older.problem, 1 - older.voice
        else:
            repo, voice = world.repository(random), int(random.random() < 0.3)
            problem = invent_new(random, repo, self._known) if form != "bot" else invent(random, repo)
        text = FORMS[form][1](random, problem, repo, voice)
        author = world.bot(random) if form == "bot" else world.person(random)
        issue = Issue(issue_id, self._number(repo, moment), repo, text.title, text.body, author, moment)
        self.by_form[form].append(issue.url)
        if again:
            self.duplicates.append((issue.url, older.url))
        elif form in TOLD_AGAIN and len(self._waiting) < WAITING:
            self._waiting.append(Told(problem, repo, voice, issue.url))
        return issue

    def _follow(self, issue: Issue) -> Iterable[Event]:
        """Comments, and for some a close and a reopening."""
        random, moment = self.random, issue.opened
        for _ in range(random.choices((0, 1, 2, 3, 4), (50, 25, 13, 8, 4))[0]):
            moment += timedelta(seconds=1 + int(random.expovariate(1 / 7200)))
            yield comment_event(random, issue, moment, self.world.person(random))
        if random.random() < 0.35:
            moment += timedelta(seconds=1 + int(random.expovariate(1 / 18000)))
            yield issue_event("closed", issue, moment, issue.author)
            if random.random() < 0.1:
                moment += timedelta(seconds=1 + int(random.expovariate(1 / 7200)))
                yield issue_event("reopened", issue, moment, issue.author)

    def _open_again(self, opened: list[Issue], day: date, last: bool) -> Iterable[Event]:
        """Second `opened` events of issues, with another title: today's, and one tomorrow."""
        early = [issue for issue in opened[: len(opened) // 2] if issue.body]
        for place, issue in enumerate(self.random.sample(early, OPENED_TWICE + (not last))):
            tomorrow = place == OPENED_TWICE
            moment = (
                self._moments(day + timedelta(days=1), 1)[0]
                if tomorrow
                else self._moments(day, 1, after=issue.opened)[0]
            )
            self.opened_twice.append(issue.url)
            if tomorrow:
                self.opened_again_next_day.append(issue.url)
            yield issue_event("opened", replace(issue, title=f"{issue.title} (edited)"), moment, issue.author)
