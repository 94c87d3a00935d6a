"""The list of the forgotten: issues, repositories and authors that must not come back into the lake.

`titler forget` adds an entry to this list. The list does not name what was forgotten, but has salted hashes
of it. A later extraction hashes the issues, repositories and authors that it reads, and compares the hashes.
The salt is in the same file: somebody who can read the lake can check whether a certain name was forgotten,
but cannot list the names.

    ROOT/forgotten.json

An entry is also the record of who forgot something, when, why, what was removed and what remains.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.errors import TitlerError
from pipeline.lake.files import LakeFiles
from pipeline.lake.json_documents import Document, Name, Time

FORGOTTEN = "forgotten.json"
Kind = Literal["issue", "address", "repo", "author"]
"""What a hash stands for: GitHub's id of an issue, its address (owner/name#number), a repository
(owner/name), or the login of an account. Addresses, repositories and logins are in lower case."""
Hashes = Mapping[str, list[str]]
Mask = npt.NDArray[np.bool_]
_ADDRESS = re.compile(
    r"https?://github\.com/([^/\s]+/[^/\s]+)/(?:issues|pull)/(\d+)(?:[/?#].*)?", re.IGNORECASE
)


@dataclass(frozen=True)
class Forgetting:
    """An entry of the list: one use of `titler forget`.

    `kind` says what the user named: an issue, a repository or an author. `hashes` has the hash of what the
    user named, and the hashes of the ids and addresses of all issues that are removed because of it. Each key
    of `hashes` says what the hashes under it stand for (see `Kind`).
    `finished_at` is None until everything is removed. `removed` maps places, such as tables, to the number of
    rows or files that were removed from them. `remains` says in words what could not be removed.
    """

    id: Name
    kind: Literal["issue", "repo", "author"]
    because: str
    by: str
    begun_at: Time
    hashes: dict[str, list[str]]
    finished_at: Time | None = None
    removed: dict[str, int] = field(default_factory=dict)
    remains: list[str] = field(default_factory=list)

    def is_about(self, other: Forgetting) -> bool:
        """Returns whether this entry and the entry `other` are about the same issue, repository or author:
        whether both have the same kind, and this entry has all hashes of `other`.

        This entry may have more hashes than `other`, because `titler forget` adds hashes of the id and the
        address of each issue that it finds. So a user may name an issue by its id first, and by its address
        when the command is repeated.
        """
        return self.kind == other.kind and all(
            set(values) <= set(self.hashes.get(kind, ())) for kind, values in other.hashes.items()
        )


@dataclass(frozen=True)
class ForgottenList:
    """The list of what has been forgotten."""

    salt: str
    forgettings: tuple[Forgetting, ...] = ()

    @classmethod
    def read(cls, lake: LakeFiles) -> ForgottenList:
        """Returns the list of a lake. If nothing was forgotten yet, the list is empty and has a new salt."""
        return lake.get_json(FORGOTTEN, FORGOTTEN_DOCUMENT) or cls(secrets.token_hex(16))

    def store(self, lake: LakeFiles, forgetting: Forgetting) -> ForgottenList:
        """Adds an entry, or replaces the entry with the same id. Writes and returns the list."""
        remaining = [each for each in self.forgettings if each.id != forgetting.id]
        changed = replace(self, forgettings=(*remaining, forgetting))
        changed.write(lake)
        return changed

    def remove(self, lake: LakeFiles, forgetting: Forgetting) -> None:
        """Removes an entry, and writes the list."""
        remaining = tuple(each for each in self.forgettings if each.id != forgetting.id)
        replace(self, forgettings=remaining).write(lake)

    def write(self, lake: LakeFiles) -> None:
        """Writes the list."""
        lake.put_json(FORGOTTEN, asdict(self))

    @property
    def unfinished(self) -> Forgetting | None:
        """The entry of the `titler forget` that is running or was interrupted, or None if there is none."""
        return next((each for each in self.forgettings if each.finished_at is None), None)

    @property
    def finished_at(self) -> str:
        """The UTC time at which a use of `titler forget` last finished, or an empty string if none has
        finished yet."""
        return max((each.finished_at or "" for each in self.forgettings), default="")

    @property
    def matcher(self) -> Matcher | None:
        """An object that recognises everything on the list, or None if the list is empty."""
        return self.matcher_of(self.forgettings) if self.forgettings else None

    def matcher_of(self, forgettings: Iterable[Forgetting]) -> Matcher:
        """Returns an object that recognises the issues, repositories and authors of these entries."""
        return Matcher(self.salt, [each.hashes for each in forgettings])

    def hash_of(self, kind: str, value: str) -> str:
        """Returns the salted hash of a value: 24 hexadecimal digits."""
        return _hash(bytes.fromhex(self.salt), kind, value)


FORGOTTEN_DOCUMENT: Document[ForgottenList] = Document(
    ForgottenList,
    "the list of what was forgotten: an object with the keys salt and forgettings",
    lambda root, relative: (
        "Restore it from a backup. Without it, a later extraction brings forgotten issues back."
    ),
)


def refuse_while_forgetting(lake: LakeFiles) -> None:
    """Raises TitlerError if `titler forget` is running or was interrupted. Commands that write to the lake
    would otherwise make new batches from batches that are about to be removed."""
    if (unfinished := ForgottenList.read(lake).unfinished) is not None:
        raise TitlerError(
            f"The command titler forget --{unfinished.kind}, begun by {unfinished.by} at "
            f"{unfinished.begun_at[:16]} UTC, has not finished. Until it has finished, no other command may "
            "write to the lake.",
            "Wait until titler forget ends. If it was interrupted, run it again with the same "
            f"{unfinished.kind}: it continues.",
        )


def _hash(salt: bytes, kind: str, value: str) -> str:
    return hashlib.blake2b(f"{kind}:{value}".encode(), key=salt, digest_size=12).hexdigest()


def address_of(url: str) -> str:
    """Returns the short address, such as owner/name#123, for the URL of an issue or of a comment. If this
    is not a URL of GitHub, returns the URL itself. The result is in lower case."""
    match = _ADDRESS.fullmatch(url)
    return f"{match[1]}#{match[2]}".lower() if match else url.lower()


Named = list[tuple[str, str]]
"""Kinds with values."""


def _of_url(url: str) -> Named:
    address = address_of(url)
    repo, is_github, _ = address.rpartition("#")
    return [("address", address), *([("repo", repo)] if is_github else [])]


_COLUMNS: Mapping[str, Callable[[str], Named]] = {
    "issue_id": lambda value: [("issue", value)],
    "similar_issue_id": lambda value: [("issue", value)],
    "issue_url": _of_url,
    "similar_issue_url": _of_url,
    "comment_url": _of_url,
    "repo": lambda value: [("repo", value.lower())],
    "duplicate_of_repo": lambda value: [("repo", value.lower())],
    "author": lambda value: [("author", value.lower())],
}
"""The columns that name an issue, a repository or an author, and what a value of them stands for."""
_OTHER_ISSUE = ("duplicate_of_repo", "duplicate_of_number")
MATCHED_COLUMNS = (*_COLUMNS, "duplicate_of_number")
"""The columns of all tables that `Matcher.mask` reads."""
_WORDS = re.compile(r"[\w.-]+(?:\[bot\])?")
_PAIRS = re.compile(r"(?=(?<![\w.-])([\w.-]+/[\w.-]+)(?:/(?:issues|pull)/(\d+)|#(\d+))?)")


class Matcher:
    """Recognises issues, repositories and authors that have been forgotten, by their hashes.

    `hashes` are the hashes of the entries to recognise.
    """

    def __init__(self, salt: str, hashes: Iterable[Hashes]) -> None:
        self._salt = bytes.fromhex(salt)
        self._hashes: dict[str, set[str]] = {}
        for of_entry in hashes:
            for kind, values in of_entry.items():
                self._hashes.setdefault(kind, set()).update(values)

    def matches(self, kind: str, value: str) -> bool:
        """Returns whether a value was forgotten. The value must be in lower case if it is an address, a
        repository or a login."""
        hashes = self._hashes.get(kind)
        return hashes is not None and _hash(self._salt, kind, value) in hashes

    def matches_url(self, url: str) -> bool:
        """Returns whether the issue with this URL, or its repository, is forgotten."""
        return self._any(_of_url(url))

    def mask(self, rows: pa.Table) -> Mask:
        """Returns a boolean array (rows,) that says which rows of a table of the lake are about something
        forgotten. Only the columns MATCHED_COLUMNS are compared. The table may lack some of them."""
        forgotten = np.zeros(len(rows), dtype=np.bool_)
        for name, named in _COLUMNS.items():
            if name in rows.column_names:
                forgotten |= self._mask_of_column(rows.column(name), named)
        if all(name in rows.column_names for name in _OTHER_ISSUE):
            repos, numbers = (rows.column(name).to_pylist() for name in _OTHER_ISSUE)
            pairs = zip(repos, numbers, strict=True)
            forgotten |= np.array(
                [self.matches("address", f"{repo}#{number}".lower()) for repo, number in pairs], np.bool_
            )
        return forgotten

    def _mask_of_column(self, column: pa.ChunkedArray, named: Callable[[str], Named]) -> Mask:
        encoded = column.combine_chunks().dictionary_encode()
        is_forgotten = [self._any(named(str(value))) for value in encoded.dictionary.to_pylist()]
        hits = np.array([*is_forgotten, False], dtype=np.bool_)  # the last item is for NULL
        return hits[encoded.indices.fill_null(len(is_forgotten)).to_numpy(zero_copy_only=False)]

    def is_in_text(self, text: str) -> bool:
        """Returns whether a text, such as a malformed line, names something forgotten. The text has no
        fields, so every number, word and address in it is compared. If one matches by chance, the text is
        removed although it names nothing forgotten. This does no harm."""
        plain = re.sub(r"\\+/", "/", text).lower()  # a line of the quarantine is JSON in a JSON string
        words = set(_WORDS.findall(plain))
        named = [("issue", word) for word in words if word.isdecimal()] + [("author", word) for word in words]
        for repo, number, short_number in set(_PAIRS.findall(plain)):
            named.append(("repo", repo))
            if number or short_number:
                named.append(("address", f"{repo}#{number or short_number}"))
        return self._any(named)

    def _any(self, named: Named) -> bool:
        return any(self.matches(kind, value) for kind, value in named)


def utc_time() -> str:
    """Returns the current UTC time, such as 2015-01-04T03:12:00+00:00."""
    return datetime.now(UTC).isoformat(timespec="seconds")
