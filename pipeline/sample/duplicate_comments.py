"""Rewrites some comments of the sample, so that they refer to other issues.

There are two kinds of such comments. A mark calls the commented issue a duplicate of another issue. A mention
refers to another issue, but does not call the commented issue a duplicate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random

from pipeline.sample.events import Event, Issue, user
from pipeline.sample.repositories_and_people import Actor, World

MARKED_SHARE = 0.8
"""Share of marked issues among the near-duplicates that have a comment. As in real trackers, the others are
overlooked."""
MENTION_SHARE = 0.1
"""Share of the other comments that mention an issue without calling it a duplicate."""
SAID_BY = {"member": 5, "author": 2, "bot": 2, "other": 2}
"""The kinds of people who mark duplicates, with their weights."""
ASSOCIATIONS = {"member": "MEMBER", "author": "NONE", "bot": "NONE", "other": "CONTRIBUTOR"}
MARKS = (
    "Duplicate of {ref}.",
    "Closing as a dupe of {ref}",
    "dup {ref}",
    "Thanks for the report! This is a duplicate of {ref}, let us continue there.",
    "Looks like a duplicate of {ref}.",
    "This was already reported in {ref}. Closing as duplicate.",
    "> it worked before the update\n\nSame cause, so this duplicates {ref}.",
)
BOT_MARKS = ("**Duplicate of {ref}**\n\n<sub>I am a bot. Reopen the issue if I am wrong.</sub>",)
MENTIONS = (
    "Not a duplicate of {ref}: that one is about the other module.",
    "Is this a duplicate of {ref}?",
    "> Duplicate of {ref}\n\nNo, it happens without that option, too.",
    "See also {ref}.",
    "The log has `duplicate of {ref}` in it, which is only the name of the build.",
    "{ref} is a duplicate of this one.",
)
BOT_MENTIONS = (
    "### Before we look at it\n\nPlease read {ref} and search for duplicates.\n\n<!-- duplicate of {ref} -->",
    "Possible duplicates:\n- {ref}",
)


@dataclass
class DuplicateComments:
    """Rewrites some comments as marks or mentions (see the docstring of the module).

    `marks` maps the address of each mark to a tuple: the URL of the commented issue, the URL of the older
    issue, and the kind of person who wrote the comment.
    """

    random: Random
    world: World
    marks: dict[str, tuple[str, str, str]] = field(default_factory=dict)

    def rewrite(self, event: Event, issue: Issue, older_of: Mapping[str, str]) -> Event:
        """Returns the event of a comment on `issue`, sometimes rewritten as a mark or a mention.

        `older_of` maps the URL of each near-duplicate to the URL of the older issue.
        """
        older = older_of.get(issue.url)
        if older is not None and issue.comments == 1:
            return self._mark(event, issue, older) if self.random.random() < MARKED_SHARE else event
        if self.random.random() < MENTION_SHARE:
            is_bot = self.random.random() < 0.5
            text = self.random.choice(BOT_MENTIONS if is_bot else MENTIONS)
            actor = self.world.bot(self.random) if is_bot else event.actor
            return _written(event, actor, text.format(ref=f"#{self.random.randint(1, 900)}"), "NONE")
        return event

    def _mark(self, event: Event, issue: Issue, older: str) -> Event:
        said_by = self.random.choices(list(SAID_BY), list(SAID_BY.values()))[0]
        if said_by == "other" and event.actor == issue.author:
            said_by = "author"
        actor = {"author": issue.author, "bot": self.world.bot(self.random)}.get(said_by, event.actor)
        if said_by == "member" and actor == issue.author:
            said_by = "author"
        repo, number = older.removeprefix("https://github.com/").split("/issues/")
        references = [f"{repo}#{number}", older, f"{older}#issuecomment-{self.random.randint(1, 9)}"]
        if repo == issue.repo.name:
            references += [f"#{number}"] * 4
        text = self.random.choice(BOT_MARKS if said_by == "bot" else MARKS)
        self.marks[event.payload["comment"]["html_url"]] = (issue.url, older, said_by)
        return _written(event, actor, text.format(ref=self.random.choice(references)), ASSOCIATIONS[said_by])


def _written(event: Event, actor: Actor, body: str, association: str) -> Event:
    comment = {
        **event.payload["comment"],
        "user": user(actor),
        "body": body,
        "author_association": association,
    }
    return replace(event, actor=actor, payload={**event.payload, "comment": comment})
