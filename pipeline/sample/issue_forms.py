"""Generates sample issues of different forms, such as plain sentences, a filled-in template or an empty
body."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from pipeline.sample.code_and_logs import CODE, TRACES, fence, log, steps, table
from pipeline.sample.english_phrases import POOR_TITLES, SHORT_BODIES, SYSTEMS
from pipeline.sample.issue_problems import Problem, Writer, capital, fill
from pipeline.sample.other_languages import OTHER_LANGUAGES
from pipeline.sample.repositories_and_people import Repository


@dataclass(frozen=True)
class Text:
    """The title and body of an issue. `body` is None for an issue whose body is null in GitHub's data."""

    title: str
    body: str | None


Form = Callable[[Random, Problem, Repository, int], Text]


def title_in_style(random: Random, writer: Writer, repo: Repository) -> str:
    """Returns a title in the repository's style (`habit`), for example with a capital first letter or a tag
    such as [BUG]."""
    title = writer.title()
    if repo.habit == "tagged":
        tags = {"bug": "[BUG] ", "request": "[Feature] ", "docs": "[Docs] ", "question": "[Question] "}
        return tags[writer.problem.symptom.subject] + capital(title)
    if repo.habit == "capital":
        return capital(title)
    return title if repo.habit == "lower" or random.random() < 0.4 else capital(title)


def plain(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """Generates an issue whose body is a few sentences, sometimes followed by a stack trace."""
    writer = Writer(random, problem, voice)
    body = " ".join([writer.opening(), *writer.extras(random.choice((1, 2, 2, 4)))])
    if problem.symptom.name in ("crash", "error") and random.random() < 0.5:
        body += "\n\n" + fence(TRACES[repo.language](random, *problem.error))
    return Text(title_in_style(random, writer, repo), body)


def template(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """Generates an issue from a filled-in template that still contains the template's comments."""
    writer = Writer(random, problem, voice)
    parts = [
        random.choice(
            (
                "<!-- Please search the existing issues first. -->\n",
                "<!--\nThank you for your report!\nDo not delete this form.\n-->\n",
                "",
            )
        ),
        "### Describe the problem\n\n" + " ".join([writer.opening(), *writer.extras(2)]) + "\n",
    ]
    if problem.symptom.subject == "bug":
        parts += [
            f"### Steps to reproduce\n\n{steps(random)}\n",
            f"### Expected behavior\n\n{writer.expected()}\n",
        ]
    parts.append(
        f"### Environment\n\n- [x] I use the latest version\n"
        f"- OS: {problem.slots['os']}\n- Version: {problem.slots['v']}\n"
    )
    return Text(title_in_style(random, writer, repo), "\n".join(parts))


def code_and_trace(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """Generates an issue with code. If the issue reports a bug, it also has a stack trace."""
    writer = Writer(random, problem, voice)
    body = f"{writer.opening()}\n\n{fence(fill(random, CODE[repo.language]), repo.language.lower())}"
    if problem.symptom.subject == "bug":
        body += f"\n\nThis is what I see:\n\n{fence(TRACES[repo.language](random, *problem.error))}"
    return Text(title_in_style(random, writer, repo), body)


def with_log(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """Generates an issue with sentences and a log. The log is sometimes not marked as a code block."""
    writer = Writer(random, problem, voice)
    lines = log(random, random.randint(3, 12))
    sentences = " ".join([writer.opening(), *writer.extras(1)])
    body = f"{sentences}\n\n{lines if random.random() < 0.3 else fence(lines)}"
    return Text(title_in_style(random, writer, repo), body)


def html(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    writer = Writer(random, problem, voice)
    body = f"<p>{writer.opening()}</p>\n<ul><li>{problem.slots['os']}</li><li>v{problem.slots['v']}</li></ul>"
    body += f"\n<details><summary>Log</summary>\n<pre>{log(random, 4)}</pre></details>"
    body += "\n&lt;end of report&gt;<br/>"
    return Text(title_in_style(random, writer, repo), body)


def with_table(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    writer = Writer(random, problem, voice)
    return Text(
        title_in_style(random, writer, repo),
        f"{writer.opening()}\n\n{table(random)}\n\n{' '.join(writer.extras(2))}",
    )


def long_body(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """Generates an issue with a body of over 2,000 characters."""
    writer = Writer(random, problem, voice)
    body = (
        " ".join([writer.opening(), *writer.extras(3)]) + "\n\n" + fence(log(random, random.randint(35, 80)))
    )
    return Text(title_in_style(random, writer, repo), body)


def short_body(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """Generates an issue with a body of one to five words."""
    return Text(
        title_in_style(random, Writer(random, problem, voice), repo),
        fill(random, random.choice(SHORT_BODIES)),
    )


def poor_title(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """Generates an issue with a title that says nothing about its subject."""
    return Text(random.choice(POOR_TITLES), plain(random, problem, repo, voice).body)


def null_body(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """Generates an issue with a title only; the body is null."""
    return Text(title_in_style(random, Writer(random, problem, voice), repo), None)


def empty_body(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """Generates an issue with a title only; the body is an empty string."""
    return Text(title_in_style(random, Writer(random, problem, voice), repo), "")


def emoji(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """Generates an issue with emoji around and between the words. Some emoji have several code points."""
    text = plain(random, problem, repo, voice)
    front, behind = (
        random.choice("\U0001f41b\U0001f525\u2728\U0001f680"),
        random.choice(("\U0001f44d\U0001f3fd", "\U0001f469\u200d\U0001f4bb", "\u2764\ufe0f")),
    )
    return Text(f"{front} {text.title}", f"Hi all {front}{front}\n\n{text.body} {behind}")


def carriage_returns(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """Generates an issue with Windows line breaks and tabs."""
    text = template(random, problem, repo, voice)
    return Text(text.title, f"{text.body}\n\tregards".replace("\n", "\r\n"))


def backslashes(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    r"""Generates an issue with paths and patterns that contain quotes, \n and \t."""
    text = plain(random, problem, repo, voice)
    noise = r'Path: c:\new\table\readme.txt, pattern: ^\d+\n$, "quoted \"twice\"", \u00e9 is not é, 50%'
    return Text(text.title, f"{text.body}\n{noise}")


def addresses(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    text = plain(random, problem, repo, voice)
    links = (
        "https://docs.example.org/a_(b)?q=1&r=[2]#top, www.example.com, first.last+tag@mail.example.net, "
        "+1 555 010 9999, 12,50 €"
    )
    return Text(
        text.title,
        f"{text.body}\n\nSee [the page](https://example.org/{repo.kind}/{random.randint(1, 99)}) and {links}",
    )


def lone_surrogate(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """Generates an issue with half of an emoji. Such issues exist because some clients cut texts between two
    UTF-16 code units."""
    text = plain(random, problem, repo, voice)
    return Text(text.title, f"{text.body} \ud83d")


def nul(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """Generates an issue with the character U+0000 inside the body."""
    text = plain(random, problem, repo, voice)
    return Text(text.title, f"{text.body}\nhexdump says: a\x00b")


def bot(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
    """Generates an issue like those that bots open. There are three such texts, in which a few words vary."""
    package, old = (
        random.choice(("left-lantern", "kettle-core", "anvil", "pepper-http", "thimble")),
        problem.slots["old"],
    )
    new, component = problem.slots["v"], problem.component
    return random.choice(
        (
            Text(
                f"Bump {package} from {old} to {new}",
                f"Bumps [{package}](https://example.org/{package}) from {old} to {new}.\n\n"
                "<details>\n<summary>Commits</summary>\n\n"
                f"- `{random.getrandbits(28):07x}` release {new}\n</details>\n\n"
                "This issue was opened by a program.",
            ),
            Text(
                f"Nightly build failed on {problem.slots['os']}",
                f"The nightly build of {repo.name} failed on {problem.slots['os']} in step `{component}`."
                f"\n\n{fence(log(random, 4))}",
            ),
            Text(
                f"Security alert: {package} before {new}",
                f"A vulnerability was found in {package} ({old}), which the {component} depends on. "
                f"Severity: {random.choice(('low', 'moderate', 'high'))}. Please update to {new} or later.",
            ),
        )
    )


def in_other_language(language: str) -> Form:
    """Returns a function that generates issues in `language`, such as "spanish"."""
    language_texts = OTHER_LANGUAGES[language]

    def form(random: Random, problem: Problem, repo: Repository, voice: int) -> Text:
        slots = {
            "c": random.choice(language_texts.components),
            "v": problem.slots["v"],
            "os": random.choice(SYSTEMS),
        }
        title, opening = random.choice(language_texts.problems)
        sentences = [
            opening,
            *random.sample(language_texts.extras, random.randint(1, len(language_texts.extras))),
        ]
        return Text(
            capital(title.format(**slots)),
            " ".join(capital(sentence.format(**slots)) for sentence in sentences),
        )

    return form


# name -> (issues per thousand, generator); about 190 issues per thousand are not trainable
FORMS: dict[str, tuple[int, Form]] = {
    "plain": (265, plain),
    "template": (130, template),
    "trace": (90, code_and_trace),
    "log": (50, with_log),
    "html": (15, html),
    "table": (15, with_table),
    "endless": (50, long_body),
    "terse": (35, short_body),
    "poor title": (50, poor_title),
    "null body": (40, null_body),
    "empty body": (10, empty_body),
    "emoji": (25, emoji),
    "carriage returns": (20, carriage_returns),
    "backslashes": (15, backslashes),
    "addresses": (15, addresses),
    "lone surrogate": (5, lone_surrogate),
    "nul": (5, nul),
    "bot": (60, bot),
    "spanish": (12, in_other_language("spanish")),
    "portuguese": (8, in_other_language("portuguese")),
    "french": (10, in_other_language("french")),
    "german": (12, in_other_language("german")),
    "russian": (10, in_other_language("russian")),
    "chinese": (20, in_other_language("chinese")),
    "japanese": (10, in_other_language("japanese")),
    "korean": (6, in_other_language("korean")),
    "arabic": (10, in_other_language("arabic")),
    "hebrew": (7, in_other_language("hebrew")),
}


def shuffled_forms(random: Random, count: int) -> list[str]:
    """Returns the names of the forms of `count` issues, in random order.

    Each form occurs about as often as FORMS says, and at least once. So `count` must be at least len(FORMS).
    """
    total = sum(parts for parts, _ in FORMS.values())
    names = [name for name, (parts, _) in FORMS.items() for _ in range(max(1, parts * count // total))]
    names = names[len(names) - count :] if len(names) > count else names + ["plain"] * (count - len(names))
    random.shuffle(names)
    return names
