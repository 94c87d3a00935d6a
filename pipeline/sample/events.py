"""Generates events in the format that GH Archive has used since 2015. An event has some fields that are the
same for all types, and a payload whose form depends on the type."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any

from pipeline.sample.code_and_logs import FUNCTIONS, MODULES
from pipeline.sample.english_phrases import COMMENTS, COMPONENTS, SYSTEMS
from pipeline.sample.issue_problems import fill
from pipeline.sample.repositories_and_people import Actor, Repository, association

Payload = dict[str, Any]
API = "https://api.github.com"


@dataclass
class Issue:
    """The state of a sample issue after its latest event. `comments` is its number of comments."""

    id: int
    number: int
    repo: Repository
    title: str
    body: str | None
    author: Actor
    opened: datetime
    comments: int = 0

    @property
    def url(self) -> str:
        return f"{self.repo.url}/issues/{self.number}"


@dataclass(frozen=True)
class Event:
    """A GitHub event that has no id yet. Ids are assigned later, in the order of the events' times."""

    moment: datetime
    kind: str
    actor: Actor
    repo: Repository
    payload: Payload

    def line(self, event_id: int, ascii_only: bool) -> bytes:
        """Returns the event as a line of an hour file.

        If `ascii_only` is true, or if the event contains an unpaired surrogate (half of a UTF-16 character),
        the line is in ASCII. Otherwise it is in UTF-8.
        """
        value = {
            "id": str(event_id),
            "type": self.kind,
            "actor": {
                "id": self.actor.id,
                "login": self.actor.login,
                "display_login": self.actor.login.removesuffix("[bot]"),
                "gravatar_id": "",
                "url": f"{API}/users/{self.actor.login}",
            },
            "repo": {"id": self.repo.id, "name": self.repo.name, "url": f"{API}/repos/{self.repo.name}"},
            "payload": self.payload,
            "public": True,
            "created_at": stamp(self.moment),
        }
        if not ascii_only:
            try:
                return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
            except UnicodeEncodeError:
                pass
        return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds") + "Z"


def user(actor: Actor) -> Payload:
    return {
        "login": actor.login,
        "id": actor.id,
        "url": f"{API}/users/{actor.login}",
        "html_url": f"https://github.com/{actor.login}",
        "type": "Bot" if actor.is_bot else "User",
        "site_admin": False,
    }


def issue_object(issue: Issue, moment: datetime, closed: bool = False) -> Payload:
    api = f"{API}/repos/{issue.repo.name}/issues/{issue.number}"
    return {
        "url": api,
        "repository_url": f"{API}/repos/{issue.repo.name}",
        "comments_url": f"{api}/comments",
        "html_url": issue.url,
        "id": issue.id,
        "number": issue.number,
        "title": issue.title,
        "user": user(issue.author),
        "labels": [],
        "state": "closed" if closed else "open",
        "locked": False,
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "comments": issue.comments,
        "created_at": stamp(issue.opened),
        "updated_at": stamp(moment),
        "closed_at": stamp(moment) if closed else None,
        "author_association": association(issue.author, issue.repo),
        "body": issue.body,
    }


def issue_event(action: str, issue: Issue, moment: datetime, actor: Actor) -> Event:
    """Returns the event that opens, closes or reopens an issue. `action` is "opened", "closed" or
    "reopened"."""
    payload = {"action": action, "issue": issue_object(issue, moment, closed=action == "closed")}
    return Event(moment, "IssuesEvent", actor, issue.repo, payload)


def comment_text(random: Random) -> str:
    slots = {"v": f"{random.randint(0, 6)}.{random.randint(0, 19)}", "os": random.choice(SYSTEMS)}
    return fill(random, random.choice(COMMENTS), **slots)


def comment_event(random: Random, issue: Issue, moment: datetime, actor: Actor) -> Event:
    """Returns the event of a new comment on an issue. As on GitHub, the event's payload also contains the
    issue."""
    issue.comments += 1
    comment_id = random.randrange(10**9, 2 * 10**9)
    comment = {
        "html_url": f"{issue.url}#issuecomment-{comment_id}",
        "id": comment_id,
        "user": user(actor),
        "created_at": stamp(moment),
        "updated_at": stamp(moment),
        "author_association": association(actor, issue.repo),
        "body": comment_text(random),
    }
    payload = {"action": "created", "issue": issue_object(issue, moment), "comment": comment}
    return Event(moment, "IssueCommentEvent", actor, issue.repo, payload)


def sha(random: Random) -> str:
    return f"{random.getrandbits(160):040x}"


def change(random: Random, repo: Repository) -> str:
    """Generates the subject line of a commit or a pull request, which says what was changed."""
    verb = random.choice(("Fix", "Refactor", "Speed up", "Test", "Document", "Clean up"))
    return f"{verb} {random.choice(tuple(COMPONENTS[repo.kind]))}"


def push(random: Random, repo: Repository, actor: Actor) -> Payload:
    commits = [
        {
            "sha": sha(random),
            "author": {"email": f"{actor.login}@example.com", "name": actor.login},
            "message": change(random, repo),
            "distinct": True,
        }
        for _ in range(random.choice((1, 1, 1, 2, 3)))
    ]
    return {
        "repository_id": repo.id,
        "push_id": random.randrange(10**10, 2 * 10**10),
        "size": len(commits),
        "distinct_size": len(commits),
        "ref": "refs/heads/main",
        "head": commits[-1]["sha"],
        "before": sha(random),
        "commits": commits,
    }


def pull_request(random: Random, repo: Repository, actor: Actor, number: int, moment: datetime) -> Payload:
    """Generates the payload of an event in which somebody opens a pull request. The payload's action is
    "opened", as for an issue."""
    return {
        "action": "opened",
        "number": number,
        "pull_request": {
            "url": f"{API}/repos/{repo.name}/pulls/{number}",
            "html_url": f"{repo.url}/pull/{number}",
            "id": random.randrange(10**9, 2 * 10**9),
            "number": number,
            "state": "open",
            "title": change(random, repo),
            "user": user(actor),
            "body": comment_text(random),
            "created_at": stamp(moment),
            "merged": False,
            "commits": random.randint(1, 5),
            "additions": random.randint(0, 400),
            "deletions": random.randint(0, 200),
        },
    }


def branch(random: Random, repo: Repository, actor: Actor) -> Payload:
    name = f"{actor.login}/{random.choice(FUNCTIONS)}-{random.choice(MODULES)}"
    return {
        "ref": name,
        "ref_type": "branch",
        "master_branch": "main",
        "description": None,
        "pusher_type": "user",
    }


def fork(random: Random, repo: Repository, actor: Actor) -> Payload:
    name = repo.name.split("/")[1]
    forkee = {
        "id": random.randrange(10**9),
        "name": name,
        "full_name": f"{actor.login}/{name}",
        "owner": user(actor),
        "fork": True,
    }
    return {"forkee": forkee}


def wiki(random: Random, repo: Repository, actor: Actor) -> Payload:
    page = random.choice(MODULES).capitalize()
    return {
        "pages": [{"page_name": page, "title": page, "summary": None, "action": "edited", "sha": sha(random)}]
    }


def release(random: Random, repo: Repository, actor: Actor) -> Payload:
    tag = f"v{random.randint(0, 6)}.{random.randint(0, 19)}.0"
    return {
        "action": "published",
        "release": {"html_url": f"{repo.url}/releases/tag/{tag}", "tag_name": tag, "name": tag, "body": None},
    }


def watch(random: Random, repo: Repository, actor: Actor) -> Payload:
    return {"action": "started"}


def nothing(random: Random, repo: Repository, actor: Actor) -> Payload:
    return {}


# event type -> (events per thousand, generator of the payload). Pull requests are generated separately.
OTHER_EVENTS = {
    "PushEvent": (480, push),
    "WatchEvent": (240, watch),
    "CreateEvent": (110, branch),
    "DeleteEvent": (50, branch),
    "ForkEvent": (70, fork),
    "GollumEvent": (25, wiki),
    "ReleaseEvent": (15, release),
    "PublicEvent": (10, nothing),
}
