"""A problem, before anybody tells it, and its telling in one of two voices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from pipeline.sample.fragments import ERRORS, RUNTIMES
from pipeline.sample.phrases import CIRCUMSTANCES, COMPONENTS, EXTRAS, KNOBS, SYSTEMS, TOOLS, WISHES, Words
from pipeline.sample.symptoms import SYMPTOMS, Symptom
from pipeline.sample.world import Repository

Option = TypeVar("Option")

TRIES = 50


@dataclass(frozen=True)
class Problem:
    """What is wrong, in no words yet: a component (by its name in titles), a symptom, a circumstance, and what fills the slots."""

    component: str
    names: Words
    symptom: Symptom
    circumstance: tuple[Words, Words]
    error: tuple[str, str]
    wish: tuple[str, Words]
    slots: dict[str, str]

    @property
    def identity(self) -> tuple[str, str]:
        """Two problems of one repository that agree in this are the same problem."""
        detail = {
            "wish": self.wish[0],
            "error": self.error[0],
            "ignored": self.slots["knob"],
            "how": self.slots["tool"],
        }
        return self.component, f"{self.symptom.name} {detail.get(self.symptom.name, '')}"


def favourite(random: Random, options: Sequence[Option]) -> Option:
    """One of them; the first is the most frequent, the n-th has 1/n of its share (Zipf's law)."""
    return random.choices(options, [1 / place for place in range(1, len(options) + 1)])[0]


def invent(random: Random, repo: Repository) -> Problem:
    """A problem that such a repository may have."""
    component, names = favourite(random, tuple(COMPONENTS[repo.kind].items()))
    major, minor, patch = random.randint(0, 6), random.randint(1, 19), random.randint(0, 9)
    slots = {
        "v": f"{major}.{minor}.{patch}",
        "old": f"{major}.{minor - 1}.{random.randint(0, 9)}",
        "os": random.choice(SYSTEMS),
        "runtime": random.choice(RUNTIMES[repo.language]),
        "knob": random.choice(KNOBS),
        "tool": random.choice(TOOLS),
    }
    return Problem(
        component=component,
        names=names,
        symptom=favourite(random, SYMPTOMS),
        circumstance=favourite(random, CIRCUMSTANCES),
        error=random.choice(ERRORS[repo.language]),
        wish=favourite(random, WISHES),
        slots=slots,
    )


def invent_new(random: Random, repo: Repository, known: set[tuple[str, tuple[str, str]]]) -> Problem:
    """A problem that the repository has not had yet, unless it has had nearly all; `known` is added to."""
    for _ in range(TRIES):
        problem = invent(random, repo)
        if (repo.name, problem.identity) not in known:
            break
    known.add((repo.name, problem.identity))
    return problem


def fill(random: Random, text: str, **slots: str) -> str:
    """The text with its slots filled: those given, and numbers, addresses and names drawn anew."""
    return text.format(
        **slots,
        n=random.choice((2, 3, 5, 8, 12, 30, 50, 90, 100, 500)),
        ref=random.randint(1, 900),
        hex=f"{random.getrandbits(28):07x}",
        who=random.choice(("ada", "help", "dev.team", "j_doe")),
    )


def capital(text: str) -> str:
    """With a capital first letter (`str.capitalize` would make the others small)."""
    return text[:1].upper() + text[1:]


@dataclass(frozen=True)
class Teller:
    """Tells one problem in one voice (0 or 1): in even or odd wordings, see `phrases`."""

    random: Random
    problem: Problem
    voice: int

    def pick(self, wordings: Sequence[str]) -> str:
        return self.random.choice(wordings[self.voice :: 2])

    def _fill(self, text: str) -> str:
        problem = self.problem
        short, long = problem.circumstance
        when, how = (
            self.pick(words).format(n=self.random.choice((2, 5, 50)), **problem.slots)
            for words in (short, long)
        )
        return fill(
            self.random,
            text,
            c=problem.component,
            b=self.pick(problem.names),
            when=when,
            long=how,
            E=problem.error[0],
            wish=problem.wish[0],
            want=self.pick(problem.wish[1]),
            **problem.slots,
        )

    def title(self) -> str:
        return self._fill(self.pick(self.problem.symptom.titles))

    def opening(self) -> str:
        """The sentence that says it all."""
        return capital(self._fill(self.pick(self.problem.symptom.openings)))

    def expected(self) -> str:
        return self.pick(self.problem.symptom.expected)

    def extras(self, most: int) -> list[str]:
        """Up to `most` sentences that add little, as sentences in issues do."""
        return [
            capital(self._fill(text)) for text in self.random.sample(EXTRAS, self.random.randint(0, most))
        ]
