"""The schema of Terraform's provider hashicorp/google, out of a package that infra/install_lint.sh installs,
and how files are held to it.

It stands in for `terraform validate`, which asks the provider itself, and that is on no package registry. It
knows which resources and arguments there are, which must be given, and which are blocks; not which values are
allowed.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

WHERE = re.compile(
    r"hashicorp/google/(?P<version>[\d.]+)/docs/(?P<kind>resources|data-sources)/"
    r"(?P<name>\w+)#(?P<argument>\w+) "
)
META = {"for_each", "count", "depends_on", "lifecycle", "provider", "__is_block__"}
REFERENCE = re.compile(
    r"(?<![\w.])(?P<data>data\.)?google_(?P<type>\w+)\.(?P<name>\w+)(?:\[\w+\])?\.(?P<attribute>\w+)"
)


class Argument(NamedTuple):
    """`inside` is the type of what stands in it, where that has arguments of its own."""

    required: bool
    is_block: bool
    inside: str | None


class Schema:
    """Of one version of the provider; `types` are jsii's, by their full names."""

    def __init__(self, package: Path) -> None:
        """`package` is the archive that the Python package carries."""
        with tarfile.open(package) as archive:
            told = archive.extractfile("package/.jsii")
            assert told is not None
            self.types: dict[str, dict[str, Any]] = json.load(told)["types"]

    @cached_property
    def configurations(self) -> dict[str, str]:
        """Type by the name of a resource, `google_storage_bucket`, or of a data source,
        `data.google_project`."""
        found = {}
        for name, declared in self.types.items():
            if "TerraformMetaArguments" in str(declared.get("interfaces")):
                for own in declared.get("properties", []):
                    if place := WHERE.search(own["docs"].get("remarks", "")):
                        found[
                            ("data." if place["kind"] == "data-sources" else "") + f"google_{place['name']}"
                        ] = name
                        break
        return found

    @property
    def version(self) -> str:
        """That of the provider, like 8.7.0."""
        places = (
            WHERE.search(own["docs"].get("remarks", ""))
            for type_ in self.types.values()
            for own in type_.get("properties", [])
        )
        return next(place["version"] for place in places if place)

    def arguments(self, type_: str) -> dict[str, Argument]:
        """What may stand in a resource or a block."""
        found = {}
        for own in self.types[type_].get("properties", []):
            place = WHERE.search(own["docs"].get("remarks", "") + " ") or WHERE.search(
                own["docs"].get("summary", "")
            )
            name = place["argument"] if place else snake(own["name"])
            inside = [
                name
                for name in re.findall(r"'fqn': '([^']+)'", str(own["type"]))
                if name in self.types and "google" in name
            ]
            found[name] = Argument(
                not own.get("optional"),
                own["docs"].get("summary", "").endswith(" block."),
                inside[0] if inside else None,
            )
        return found

    def attributes(self, resource: str) -> set[str]:
        """What another resource may read of it."""
        of = self.types[self.configurations[resource].removesuffix("Config")]
        return {snake(own["name"]) for own in of["properties"] if not own.get("static")}

    def mistakes(self, resource: str, body: dict[str, Any]) -> Iterator[str]:
        """What is wrong with a resource as python-hcl2 reads it, a line each."""
        if resource not in self.configurations:
            yield f"{resource}: no such resource"
        else:
            yield from self._inside(resource, self.configurations[resource], body, META)

    def _inside(self, where: str, type_: str, body: dict[str, Any], allowed: set[str]) -> Iterator[str]:
        known, given = self.arguments(type_), undynamic(body)
        for name in sorted(given.keys() - known.keys() - allowed):
            yield f"{where}: no argument {name}"
        for name, argument in known.items():
            if name not in given:
                if argument.required:
                    yield f"{where}: {name} is missing"
                continue
            blocks = given[name] if isinstance(given[name], list) else [given[name]]
            if argument.is_block != all(
                isinstance(block, dict) and "__is_block__" in block for block in blocks
            ):
                yield f"{where}: {name} {'is a block' if argument.is_block else 'is no block'}"
            elif argument.is_block and argument.inside:
                for block in blocks:
                    yield from self._inside(f"{where}.{name}", argument.inside, block, {"__is_block__"})


def undynamic(body: dict[str, Any]) -> dict[str, Any]:
    """A body with its dynamic blocks' contents in their places."""
    found = {name: value for name, value in body.items() if name != "dynamic"}
    for dynamic in body.get("dynamic", []):
        for quoted, block in dynamic.items():
            found.setdefault(quoted.strip('"'), []).extend(block["content"])
    return found


def snake(camel: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", camel).lower()
