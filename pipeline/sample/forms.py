"""The forms in which issues come: a plain sentence, a template filled in, a bare trace, a bot's report, nothing at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from pipeline.sample.fragments import CODE, TRACES, fence, log, steps, table
from pipeline.sample.phrases import POOR_TITLES, SHORT_BODIES, SYSTEMS
from pipeline.sample.problems import Problem, Teller, capital, fill
from pipeline.sample.tongues import TONGUES
from pipeline.sample.world import Repository


@dataclass(frozen=True)
class Text:
    """An issue's title and body; `body` is None where GitHub says null."""

    title: str
    body: str | None


Form = Callable[[Random, Problem, Repository, int], Text]


def habitual(random: Random, teller: Teller, repo: Repository) -> str:
    """A title, written as titles are in this repository."""
    title = teller.title()
    if repo.habit == "tagged":
        tags = {"bug": "[BUG] ", "request": "[Feature] ", "docs": "[Docs] ", "question": "[Question] "}
        return tags[teller.problem.symptom.subject] + capital(title)
    if repo.habit == "capital":
        return capital(title)
    return title if repo.habit == "lower" or random.random() < 0.4 else capital(title)


def plain(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """A few sentences, now and then with a trace below."""
    teller = Teller(random, problem, voice)
    body = " ".join([teller.opening(), *teller.extras(random.choice((1, 2, 2, 4)))])
    if problem.symptom.name in ("crash", "error") and random.random() < 0.5:
        body += "\n\n" + fence(TRACES[repo.language](random, *problem.error))
    return Text(habitual(random, teller, repo), body)


def template(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """An issue template, filled in; its comments are left standing."""
    teller = Teller(random, problem, voice)
    parts = [
        random.choice(
            (
                "<!-- Please search the existing issues first. -->\n",
                "<!--\nThank you for your report!\nDo not delete this form.\n-->\n",
                "",
            )
        ),
        "### Describe the problem\n\n" + " ".join([teller.opening(), *teller.extras(2)]) + "\n",
    ]
    if problem.symptom.subject == "bug":
        parts += [
            f"### Steps to reproduce\n\n{steps(random)}\n",
            f"### Expected behavior\n\n{teller.expected()}\n",
        ]
    parts.append(
        f"### Environment\n\n- [x] I use the latest version\n- OS: {problem.slots['os']}\n- Version: {problem.slots['v']}\n"
    )
    return Text(habitual(random, teller, repo), "\n".join(parts))


def traced(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """Code and, where something is broken, the trace that it ends in."""
    teller = Teller(random, problem, voice)
    body = f"{teller.opening()}\n\n{fence(fill(random, CODE[repo.language]), repo.language.lower())}"
    if problem.symptom.subject == "bug":
        body += f"\n\nThis is what I see:\n\n{fence(TRACES[repo.language](random, *problem.error))}"
    return Text(habitual(random, teller, repo), body)


def logged(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """A log below, sometimes pasted without a fence."""
    teller = Teller(random, problem, voice)
    lines = log(random, random.randint(3, 12))
    body = f"{' '.join([teller.opening(), *teller.extras(1)])}\n\n{lines if random.random() < 0.3 else fence(lines)}"
    return Text(habitual(random, teller, repo), body)


def html(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    teller = Teller(random, problem, voice)
    body = f"<p>{teller.opening()}</p>\n<ul><li>{problem.slots['os']}</li><li>v{problem.slots['v']}</li></ul>"
    body += f"\n<details><summary>Log</summary>\n<pre>{log(random, 4)}</pre></details>\n&lt;end of report&gt;<br/>"
    return Text(habitual(random, teller, repo), body)


def tabled(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    teller = Teller(random, problem, voice)
    return Text(
        habitual(random, teller, repo),
        f"{teller.opening()}\n\n{table(random)}\n\n{' '.join(teller.extras(2))}",
    )


def endless(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """Over 2,000 characters."""
    teller = Teller(random, problem, voice)
    body = (
        " ".join([teller.opening(), *teller.extras(3)]) + "\n\n" + fence(log(random, random.randint(35, 80)))
    )
    return Text(habitual(random, teller, repo), body)


def terse(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """A body of a word or five."""
    return Text(
        habitual(random, Teller(random, problem, voice), repo), fill(random, random.choice(SHORT_BODIES))
    )


def poor(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """A title that says nothing."""
    return Text(random.choice(POOR_TITLES), plain(random, problem, repo, voice).body)


def absent(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """A title only; the body is null."""
    return Text(habitual(random, Teller(random, problem, voice), repo), None)


def blank(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """A title only; the body is empty."""
    return Text(habitual(random, Teller(random, problem, voice), repo), "")


def emoji(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """Emoji in front, between and behind; some are several code points."""
    told = plain(random, problem, repo, voice)
    front, behind = (
        random.choice("\U0001f41b\U0001f525\u2728\U0001f680"),
        random.choice(("\U0001f44d\U0001f3fd", "\U0001f469\u200d\U0001f4bb", "\u2764\ufe0f")),
    )
    return Text(f"{front} {told.title}", f"Hi all {front}{front}\n\n{told.body} {behind}")


def carriage_returns(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """Lines as Windows ends them, and an indentation by tabs."""
    told = template(random, problem, repo, voice)
    return Text(told.title, f"{told.body}\n\tregards".replace("\n", "\r\n"))


def backslashes(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    r"""Paths and patterns in which \n and \t are letters, and quotes."""
    told = plain(random, problem, repo, voice)
    noise = r'Path: c:\new\table\readme.txt, pattern: ^\d+\n$, "quoted \"twice\"", \u00e9 is not é, 50%'
    return Text(told.title, f"{told.body}\n{noise}")


def addresses(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    told = plain(random, problem, repo, voice)
    links = "https://docs.example.org/a_(b)?q=1&r=[2]#top, www.example.com, first.last+tag@mail.example.net, +1 555 010 9999, 12,50 €"
    return Text(
        told.title,
        f"{told.body}\n\nSee [the page](https://example.org/{repo.kind}/{random.randint(1, 99)}) and {links}",
    )


def lone_surrogate(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """Half of an emoji, as a client leaves it that cuts text by UTF-16 units."""
    told = plain(random, problem, repo, voice)
    return Text(told.title, f"{told.body} \ud83d")


def nul(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """U+0000 in the middle."""
    told = plain(random, problem, repo, voice)
    return Text(told.title, f"{told.body}\nhexdump says: a\x00b")


def bot(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """What a program opens: always in the same words."""
    package, old = (
        random.choice(("left-lantern", "kettle-core", "anvil", "pepper-http", "thimble")),
        problem.slots["old"],
    )
    new, where = problem.slots["v"], problem.component
    return random.choice(
        (
            Text(
                f"Bump {package} from {old} to {new}",
                f"Bumps [{package}](https://example.org/{package}) from {old} to {new}.\n\n<details>\n<summary>Commits</summary>\n\n"
                f"- `{random.getrandbits(28):07x}` release {new}\n</details>\n\nThis issue was opened by a program.",
            ),
            Text(
                f"Nightly build failed on {problem.slots['os']}",
                f"The nightly build of {repo.name} failed on {problem.slots['os']} in step `{where}`.\n\n{fence(log(random, 4))}",
            ),
            Text(
                f"Security alert: {package} before {new}",
                f"A vulnerability was found in {package} ({old}), which the {where} depends on. Severity: "
                f"{random.choice(('low', 'moderate', 'high'))}. Please update to {new} or later.",
            ),
        )
    )


def foreign(language: str) -> Form:
    """Issues in another language than English."""
    tongue = TONGUES[language]

    def told(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
        slots = {"c": random.choice(tongue.components), "v": problem.slots["v"], "os": random.choice(SYSTEMS)}
        title, opening = random.choice(tongue.problems)
        sentences = [opening, *random.sample(tongue.extras, random.randint(1, len(tongue.extras)))]
        return Text(
            capital(title.format(**slots)),
            " ".join(capital(sentence.format(**slots)) for sentence in sentences),
        )

    return told


# name -> (parts of a thousand issues, form); those that cannot be learned from come to about 220 of a thousand
FORMS: dict[str, tuple[int, Form]] = {
    "plain": (265, plain),
    "template": (130, template),
    "trace": (90, traced),
    "log": (50, logged),
    "html": (15, html),
    "table": (15, tabled),
    "endless": (50, endless),
    "terse": (35, terse),
    "poor title": (50, poor),
    "null body": (40, absent),
    "empty body": (10, blank),
    "emoji": (25, emoji),
    "carriage returns": (20, carriage_returns),
    "backslashes": (15, backslashes),
    "addresses": (15, addresses),
    "lone surrogate": (5, lone_surrogate),
    "nul": (5, nul),
    "bot": (60, bot),
    "spanish": (12, foreign("spanish")),
    "portuguese": (8, foreign("portuguese")),
    "french": (10, foreign("french")),
    "german": (12, foreign("german")),
    "russian": (10, foreign("russian")),
    "chinese": (20, foreign("chinese")),
    "japanese": (10, foreign("japanese")),
    "korean": (6, foreign("korean")),
    "arabic": (10, foreign("arabic")),
    "hebrew": (7, foreign("hebrew")),
}


def deck(random: Random, count: int) -> list[str]:
    """`count` names of forms in their proportions, each at least once, shuffled. `count` must be at least len(FORMS)."""
    total = sum(parts for parts, _ in FORMS.values())
    names = [name for name, (parts, _) in FORMS.items() for _ in range(max(1, parts * count // total))]
    names = names[len(names) - count :] if len(names) > count else names + ["plain"] * (count - len(names))
    random.shuffle(names)
    return names
