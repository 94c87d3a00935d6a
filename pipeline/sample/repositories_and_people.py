"""Invents repositories and people. Their names show that they are invented."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate
from random import Random

from pipeline.sample.english_phrases import COMPONENTS

REPOSITORIES = 240
PEOPLE = 900

OWNERS = ("pretend", "imaginary", "fictional", "makebelieve", "invented")
ANIMALS = (
    "otter",
    "heron",
    "badger",
    "gecko",
    "walrus",
    "lynx",
    "finch",
    "beetle",
    "marmot",
    "newt",
    "ibis",
    "mole",
)
OBJECTS = (
    "lantern",
    "kettle",
    "compass",
    "ladder",
    "anvil",
    "button",
    "pillow",
    "harbor",
    "thimble",
    "saddle",
    "beacon",
    "pepper",
    "marble",
)
SUFFIXES: dict[str, tuple[str, ...]] = {
    "web": ("web", "site", "portal", "forum"),
    "cli": ("cli", "sh", "tool", "term"),
    "library": ("lib", "core", "kit", "utils"),
    "data": ("db", "sql", "store", "tables"),
    "infra": ("deploy", "ops", "cluster", "proxy"),
    "mobile": ("app", "mobile", "phone", "pocket"),
    "compiler": ("lang", "compiler", "lint", "fmt"),
    "learning": ("ml", "nn", "tensor", "learn"),
}
LANGUAGES = ("Python", "Java", "JavaScript", "Rust", "Go")
FIRST_NAMES = (
    "ada",
    "bo",
    "chidi",
    "dana",
    "emil",
    "fatima",
    "goran",
    "hana",
    "ivo",
    "jin",
    "kofi",
    "lena",
    "mika",
    "noor",
    "otto",
    "priya",
)
ASSOCIATION_PERCENT = {"OWNER": 4, "MEMBER": 10, "COLLABORATOR": 4, "CONTRIBUTOR": 22, "NONE": 60}
"""How many of a hundred people have each association with a repository. The shares are invented."""
BOTS = ("bumper-example[bot]", "nightly-example[bot]", "scanner-example[bot]", "stale-example[bot]")


@dataclass(frozen=True)
class Actor:
    """The GitHub account of a person or a bot."""

    id: int
    login: str

    @property
    def is_bot(self) -> bool:
        return self.login.endswith("[bot]")


@dataclass(frozen=True)
class Repository:
    """An invented GitHub repository.

    `kind` is a key of COMPONENTS and decides which components the repository has. `habit` is the style of the
    issues' titles. `first_number` is the number of the repository's first issue.
    """

    id: int
    name: str
    kind: str
    language: str
    habit: str
    first_number: int

    @property
    def url(self) -> str:
        return f"https://github.com/{self.name}"


def association(person: Actor, repo: Repository) -> str:
    """Returns how a person is associated with a repository, as GitHub's `author_association` says it.

    The result is computed from the names of the person and the repository, not drawn at random. So it is the
    same in every sample, and does not affect the random choices.
    """
    if person.is_bot:
        return "NONE"
    names = f"{person.login} {repo.name}".encode()
    percentile = int.from_bytes(blake2b(names, digest_size=8).digest(), "big") % 100
    ends = zip(accumulate(ASSOCIATION_PERCENT.values()), ASSOCIATION_PERCENT, strict=True)
    return next(name for end, name in ends if percentile < end)


class World:
    """The repositories, people and bots of a sample. A few repositories are active, and many are quiet."""

    def __init__(self, random: Random) -> None:
        kinds = tuple(COMPONENTS)
        names: dict[str, str] = {}
        while len(names) < REPOSITORIES:
            kind = kinds[len(names) % len(kinds)]
            owner = f"{random.choice(OWNERS)}-{random.choice(ANIMALS)}"
            names.setdefault(f"{owner}/{random.choice(OBJECTS)}-{random.choice(SUFFIXES[kind])}", kind)
        ids = random.sample(range(1_000_000, 900_000_000), REPOSITORIES)
        self.repositories = [
            Repository(
                id=repo_id,
                name=name,
                kind=kind,
                language=random.choice(LANGUAGES),
                habit=random.choices(("plain", "lower", "capital", "tagged"), (3, 3, 3, 1))[0],
                first_number=random.randrange(1, 900),
            )
            for repo_id, (name, kind) in zip(ids, names.items(), strict=True)
        ]
        self._busy = list(accumulate(1 / (rank + 10) for rank in range(REPOSITORIES)))
        person_ids = random.sample(range(1_000, 90_000_000), PEOPLE + len(BOTS))
        logins = [f"nobody-{random.choice(FIRST_NAMES)}-{number}" for number in range(PEOPLE)]
        actors = [Actor(*pair) for pair in zip(person_ids, [*logins, *BOTS], strict=True)]
        self.people = actors[:PEOPLE]
        self.bots = actors[PEOPLE:]

    def repository(self, random: Random) -> Repository:
        """Returns a random repository. Active repositories are chosen more often."""
        return random.choices(self.repositories, cum_weights=self._busy)[0]

    def neighbour(self, random: Random, repo: Repository) -> Repository:
        """Returns another repository of the same kind as `repo`."""
        return random.choice(
            [
                candidate
                for candidate in self.repositories
                if candidate.kind == repo.kind and candidate != repo
            ]
        )

    def person(self, random: Random) -> Actor:
        return random.choice(self.people)

    def bot(self, random: Random) -> Actor:
        return random.choice(self.bots)
