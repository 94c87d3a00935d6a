"""Reads the JSON documents of the lake, and checks that each of them has the expected form.

A document may be valid JSON and still not have the expected form: it may be a list instead of an object, have
a number as text, or lack a key. Then it counts as damaged, like a document that is not valid JSON. The error
says which file it is, what was found, what was expected, and what to do about it.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import ErrorDetails

from pipeline.errors import LakeError

Value = TypeVar("Value")
Remedy = Callable[[str, str], str]
"""A function that returns what to do about a damaged document. Its arguments are the root of the lake and the
document's path relative to it."""
LONGEST_VALUE = 60
"""Maximum number of characters of a wrong value in a message."""
UNION_TAG = "form:"
"""If a document has one of several forms, the tag of each form begins with this text. Tags are not shown."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
"""The name of a model, a release or a batch."""
BatchFolder = Annotated[str, StringConstraints(pattern=r"^[^/]+(/[^/=]+=[^/]+)+/[^/=]+$")]
"""The folder of a batch, such as issues_v1/day=2015-01-01/BATCH."""


def _check_time(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:  # raises ValueError
        raise ValueError("expected a time with a time zone")
    return text


Time = Annotated[str, AfterValidator(_check_time)]
"""A time with a time zone, in the format of ISO 8601. It is read as text."""


class JsonObject(dict[str, Any]):
    """An object in a JSON document, such as the figures of a batch. Its keys depend on what the document
    describes.

    It is a dict, but reading a key that is missing raises LakeError. `path` is the path of the document.
    """

    __slots__ = ("path",)  # thousands of manifests have one

    def __init__(self, values: Mapping[str, Any] | Iterable[tuple[str, Any]] = (), path: str = "") -> None:
        super().__init__(values)
        self.path = path

    def __missing__(self, key: str) -> Any:
        if not self.path:
            raise KeyError(key)
        keys = ", ".join(map(str, self)) or "no keys"
        raise LakeError(
            f"The file {self.path} is damaged or was written by another version of Titler: expected the "
            f"key `{key}`, but the keys are: {keys}.",
            "Restore the file from a backup, or make it again with the stage that wrote it.",
        )


def _as_json_object(value: dict[str, Any] | BaseModel, information: ValidationInfo) -> JsonObject:
    values = value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else value
    return _with_path(values, (information.context or {}).get("path", ""))


def _with_path(values: Mapping[str, Any], path: str) -> JsonObject:
    json_object = JsonObject(values, path)
    for key, value in values.items():
        if type(value) is dict:
            json_object[key] = _with_path(value, path)
    return json_object


AnyObject = Annotated[dict[str, Any], AfterValidator(_as_json_object)]
"""An object with any keys. It is read as a `JsonObject`."""


class KnownKeys(BaseModel):
    """The base class of types that describe an object in a JSON document. A subclass declares the keys that
    Titler relies on. The object may have other keys as well, which are kept.
    """

    model_config = ConfigDict(extra="allow", strict=True)


ABSENT: Any = None
"""The default of a key that an object may lack. No caller sees it: if the document lacks the key, so does the
object that is read."""


def object_with(keys: type[KnownKeys]) -> Any:
    """Returns a type by which pydantic checks that an object has at least the keys of the class `keys`. Such
    an object is read as a `JsonObject`."""
    return Annotated[keys, AfterValidator(_as_json_object)]


def delete_and_run(command: str) -> Remedy:
    """Returns the remedy for a document that `command` can write again: delete the damaged document, then run
    `command`. In `command`, NAME stands for the model or the release that the document belongs to."""

    def remedy(root: str, relative: str) -> str:
        folders = relative.split("/")
        named = command.replace("NAME", folders[1] if len(folders) > 1 else "")
        return f"Delete this file, then run: {named}"

    return remedy


def delete_and_repeat(root: str, relative: str) -> str:
    """Returns the remedy for a document that Titler can replace: if it is missing, a command that needs it
    writes it again. The remedy is to delete the damaged document, then run the same command again."""
    return "Delete this file, then run the same command again."


@dataclass(frozen=True)
class Document(Generic[Value]):
    """A kind of JSON document. `form` is the type of its value, as pydantic validates it. `expected`
    describes the document in messages, and `remedy` says what to do if it is damaged.

    Values are never converted: the text "1" is not a number.
    """

    form: Any
    expected: str
    remedy: Remedy

    @cached_property
    def _adapter(self) -> TypeAdapter[Value]:
        return TypeAdapter(self.form)

    def parse(self, data: bytes, root: str, relative: str) -> Value:
        """Returns the value of a document from the content of its file. Raises LakeError if the content is
        not valid JSON, or does not have the expected form. `relative` is the path of the file relative to the
        folder or address `root`."""
        path = posixpath.join(root, relative)
        try:
            return self._adapter.validate_json(data, strict=True, context={"path": path})
        except ValidationError as error:
            # the first finding is enough: whoever mends the file by hand meets the next one then
            problem = error.errors(include_url=False, include_context=False)[0]
        if problem["type"] in _UNKNOWN_KEY:
            raise LakeError(
                f"The file {path} has the key `{_location(problem)}`, which this version of Titler does not "
                f"know. Expected {self.expected}.",
                "Use the version of Titler that wrote the file, or a newer one.",
            )
        raise LakeError(
            f"The file {path} is damaged: {_describe_problem(problem)}. Expected {self.expected}.",
            self.remedy(root, relative),
        )


_UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")
"""pydantic's names for the error that an object has a key that its form does not have."""


def _location(problem: ErrorDetails) -> str:
    """Returns where in a document a problem is, such as `files.0.rows`, or an empty string if the document as
    a whole is wrong."""
    return ".".join(str(part) for part in problem["loc"] if not str(part).startswith(UNION_TAG))


def _describe_problem(first: ErrorDetails) -> str:
    """Returns what is wrong with a document, in one line."""
    location = _location(first)
    if first["type"] == "json_invalid":
        return f"it is not valid JSON ({first['msg'].removeprefix('Invalid JSON: ')})"
    if first["type"] == "missing":
        return f"it has no key `{location}`"
    where = f"`{location}` is" if location else "it is"
    rule = first["msg"].removeprefix("Value error, ")
    return f"{where} {_describe(first['input'])} ({rule[:1].lower()}{rule[1:]})"


def _describe(value: Any) -> str:
    """Describes a value of JSON briefly."""
    if isinstance(value, dict):
        return "an object" if value else "an empty object"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."
