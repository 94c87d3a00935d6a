"""Invents the problem that a sample issue is about, and writes sentences about it in one of two voices
(styles of writing)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from pipeline.sample.code_and_logs import ERRORS, RUNTIMES
from pipeline.sample.english_phrases import (
    CIRCUMSTANCES,
    COMPONENTS,
    EXTRAS,
    OPTION_NAMES,
    SYSTEMS,
    TOOLS,
    WISHES,
    Words,
)
from pipeline.sample.english_symptoms import SYMPTOMS, Symptom
from pipeline.sample.repositories_and_people import Repository

Option = TypeVar("Option")

MAX_ATTEMPTS = 50


@dataclass(frozen=True)
class Problem:
    """The problem that a sample issue is about.

    `component` is the component's name in titles, and `names` are its names in bodies. `slots` are the values
    that replace the slots of phrases, such as {knob}.
    """

    component: str
    names: Words
    symptom: Symptom
    circumstance: tuple[Words, Words]
    error: tuple[str, str]
    wish: tuple[str, Words]
    slots: dict[str, str]

    @property
    def identity(self) -> tuple[str, str]:
        """A value that identifies the problem in its repository. Two problems with equal values are the same
        problem."""
        detail = {
            "wish": self.wish[0],
            "error": self.error[0],
            "ignored": self.slots["knob"],
            "how": self.slots["tool"],
        }
        return self.component, f"{self.symptom.name} {detail.get(self.symptom.name, '')}"


def zipf_choice(random: Random, options: Sequence[Option]) -> Option:
    """Chooses an option at random. The n-th option has 1/n of the probability of the first option (Zipf's
    law)."""
    return random.choices(options, [1 / place for place in range(1, len(options) + 1)])[0]


def invent_problem(random: Random, repo: Repository) -> Problem:
    """Invents a problem about one of the repository's components. The kind of the repository decides which
    components it has."""
    component, names = zipf_choice(random, tuple(COMPONENTS[repo.kind].items()))
    major, minor, patch = random.randint(0, 6), random.randint(1, 19), random.randint(0, 9)
    slots = {
        "v": f"{major}.{minor}.{patch}",
        "old": f"{major}.{minor - 1}.{random.randint(0, 9)}",
        "os": random.choice(SYSTEMS),
        "runtime": random.choice(RUNTIMES[repo.language]),
        "knob": random.choice(OPTION_NAMES),
        "tool": random.choice(TOOLS),
    }
    return Problem(
        component=component,
        names=names,
        symptom=zipf_choice(random, SYMPTOMS),
        circumstance=zipf_choice(random, CIRCUMSTANCES),
        error=random.choice(ERRORS[repo.language]),
        wish=zipf_choice(random, WISHES),
        slots=slots,
    )


def invent_new_problem(random: Random, repo: Repository, used: set[tuple[str, tuple[str, str]]]) -> Problem:
    """Invents a problem that no earlier issue of the repository has, and adds the problem to `used`.

    If MAX_ATTEMPTS attempts find no new problem, returns a problem that the repository already has.
    """
    for _ in range(MAX_ATTEMPTS):
        problem = invent_problem(random, repo)
        if (repo.name, problem.identity) not in used:
            break
    used.add((repo.name, problem.identity))
    return problem


def fill(random: Random, text: str, **slots: str) -> str:
    """Replaces the slots of a phrase, such as {knob}, by values. `slots` has the values of some slots. The
    slots {n}, {ref}, {hex} and {who} get random values."""
    return text.format(
        **slots,
        n=random.choice((2, 3, 5, 8, 12, 30, 50, 90, 100, 500)),
        ref=random.randint(1, 900),
        hex=f"{random.getrandbits(28):07x}",
        who=random.choice(("ada", "help", "dev.team", "j_doe")),
    )


def capital(text: str) -> str:
    """Returns the text with a capital first letter. Unlike `str.capitalize`, does not change the other
    letters."""
    return text[:1].upper() + text[1:]


@dataclass(frozen=True)
class Writer:
    """Writes sentences about one problem. `voice` is one of two styles of writing, 0 or 1: see the docstring
    of `english_phrases`."""

    random: Random
    problem: Problem
    voice: int

    def pick(self, wordings: Sequence[str]) -> str:
        return self.random.choice(wordings[self.voice :: 2])

    def _fill(self, text: str) -> str:
        problem = self.problem
        short, long = problem.circumstance
        when, circumstances = (
            self.pick(words).format(n=self.random.choice((2, 5, 50)), **problem.slots)
            for words in (short, long)
        )
        return fill(
            self.random,
            text,
            c=problem.component,
            b=self.pick(problem.names),
            when=when,
            long=circumstances,
            E=problem.error[0],
            wish=problem.wish[0],
            want=self.pick(problem.wish[1]),
            **problem.slots,
        )

    def title(self) -> str:
        return self._fill(self.pick(self.problem.symptom.titles))

    def opening(self) -> str:
        """Returns the first sentence of a body, which states the problem."""
        return capital(self._fill(self.pick(self.problem.symptom.openings)))

    def expected(self) -> str:
        return self.pick(self.problem.symptom.expected)

    def extras(self, maximum: int) -> list[str]:
        """Returns up to `maximum` filler sentences, which add little information. Real issues have such
        sentences, too."""
        return [
            capital(self._fill(text)) for text in self.random.sample(EXTRAS, self.random.randint(0, maximum))
        ]
