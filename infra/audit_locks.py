"""Looks up the packages of lock files in a snapshot of security advisories. Needs no network.

    .venv/bin/python infra/audit_locks.py ADVISORIES LOCK...

ADVISORIES is the snapshot: a zip file or a folder with one JSON file per advisory, in the OSV format. OSV
publishes such a zip file for all packages of PyPI (`make audit ADVISORIES=FILE`, infra/README.md). LOCK is a
lock file, such as requirements.lock. The exit code is 0 if no locked version is affected, 1 if one is, and 2
if the snapshot or a lock file cannot be read.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

LOCKED_PACKAGE = re.compile(r"(?m)^([A-Za-z0-9][\w.\-]*)(?:\[[^]]*\])?==([^\s;\\]+)")
FIRST_VERSION = Version("0.dev0")  # no version comes before it


class SnapshotError(Exception):
    """The snapshot or a lock file cannot be read. The message says what was found and what was expected."""


@dataclass(frozen=True)
class Finding:
    """A locked version with a known vulnerability. `fixed_in` is empty if no fixed version is known."""

    package: str
    version: str
    names: frozenset[str]
    fixed_in: str
    summary: str


def locked_versions(lock: Path) -> dict[str, str]:
    """Returns a dict from the normalised name of each package of a lock file to its version.

    Raises SnapshotError for a file without packages.
    """
    try:
        text = lock.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise SnapshotError(f"{lock}: {reason}. Expected a lock file, such as requirements.lock") from error
    versions: dict[str, str] = {
        canonicalize_name(name): version for name, version in LOCKED_PACKAGE.findall(text)
    }
    if not versions:
        raise SnapshotError(f"{lock} has no packages. Expected lines like numpy==2.4.6")
    return versions


def read_advisories(snapshot: Path) -> Iterator[dict[str, Any]]:
    """Yields the advisories of `snapshot`, which is a folder or a zip file. Raises SnapshotError if one of
    them cannot be read, or if `snapshot` is something else."""
    for name, text in _json_files(snapshot):
        try:
            advisory = json.loads(text)
        except ValueError as error:
            raise SnapshotError(f"{snapshot}: {name} is not valid JSON: {error}") from error
        if not isinstance(advisory, dict) or "id" not in advisory:
            raise SnapshotError(f"{snapshot}: {name} is not an advisory. Expected the OSV format, with an id")
        yield advisory


def _json_files(snapshot: Path) -> Iterator[tuple[str, bytes]]:
    try:
        if snapshot.is_dir():
            for path in sorted(snapshot.rglob("*.json")):
                yield str(path.relative_to(snapshot)), path.read_bytes()
            return
        with zipfile.ZipFile(snapshot) as archive:
            for name in archive.namelist():
                if name.endswith(".json"):
                    yield name, archive.read(name)
    # RuntimeError: the zip file is encrypted
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise SnapshotError(f"{snapshot}: {error}. Expected a folder or a zip file of advisories") from error


def find_vulnerabilities(locked: Mapping[str, str], advisories: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Returns the known vulnerabilities of the packages in `locked`, sorted by the names of the packages.

    `locked` is a dict from the normalised name of each package to its version.

    Withdrawn advisories are left out. Advisories with a common alias, such as a CVE number, are one finding.
    """
    findings: list[Finding] = []
    for advisory in advisories:
        if advisory.get("withdrawn"):
            continue
        for affected in advisory.get("affected", []):
            package = _pypi_name(affected)
            version = locked.get(package)
            if version is not None and is_affected(version, affected):
                _add(findings, _finding(package, version, advisory, affected))
    return sorted(findings, key=lambda finding: (finding.package, sorted(finding.names)))


def is_affected(version: str, affected: Mapping[str, Any]) -> bool:
    """Returns whether an advisory affects `version`. `affected` is the part of the advisory that lists the
    affected versions, or ranges of them."""
    installed = Version(version)
    if any(_parse(listed) == installed for listed in affected.get("versions", [])):
        return True
    return any(
        _in_range(installed, events.get("events", []))
        for events in affected.get("ranges", [])
        if events.get("type") == "ECOSYSTEM"
    )


def _in_range(installed: Version, events: Sequence[Mapping[str, str]]) -> bool:
    """OSV's rule: of the events up to the installed version, the last one decides.

    Of several events at one version, `last_affected` is the last one, because the version itself is affected.
    """
    decisions: list[tuple[Version, int, bool]] = []
    for event in events:
        if "introduced" in event:
            decisions.append((_parse(event["introduced"]) or FIRST_VERSION, 1, True))
        elif (fixed := _parse(event.get("fixed", ""))) is not None and fixed <= installed:
            decisions.append((fixed, 0, False))
        elif (last := _parse(event.get("last_affected", ""))) is not None and last < installed:
            decisions.append((last, 2, False))
    return max((decision for decision in decisions if decision[0] <= installed), default=(None, 0, False))[2]


def _parse(version: str) -> Version | None:
    """Returns None for a version that PyPI would not accept today. Old advisories have some."""
    try:
        return Version(version)
    except InvalidVersion:
        return None


def _pypi_name(affected: Mapping[str, Any]) -> str:
    package = affected.get("package", {})
    return canonicalize_name(package["name"]) if package.get("ecosystem") == "PyPI" else ""


def _finding(package: str, version: str, advisory: Mapping[str, Any], affected: Mapping[str, Any]) -> Finding:
    fixes = {
        fixed
        for events in affected.get("ranges", [])
        if events.get("type") == "ECOSYSTEM"
        for event in events.get("events", [])
        if (fixed := _parse(event.get("fixed", ""))) is not None and fixed > Version(version)
    }
    text = advisory.get("summary") or advisory.get("details") or ""
    return Finding(
        package=package,
        version=version,
        names=frozenset({advisory["id"], *advisory.get("aliases", [])}),
        fixed_in=str(min(fixes)) if fixes else "",
        summary=textwrap.shorten(text, 120, placeholder="..."),
    )


def _add(findings: list[Finding], new: Finding) -> None:
    """Adds a finding, or merges it with an earlier one about the same vulnerability."""
    for index, earlier in enumerate(findings):
        if earlier.package == new.package and earlier.names & new.names:
            findings[index] = replace(
                earlier,
                names=earlier.names | new.names,
                fixed_in=earlier.fixed_in or new.fixed_in,
                summary=earlier.summary or new.summary,
            )
            return
    findings.append(new)


def audit(snapshot: Path, locks: Sequence[Path]) -> int:
    """Prints the known vulnerabilities of the packages in all lock files. Returns the exit code: 1 if there
    are any, otherwise 0.

    Raises SnapshotError if the snapshot has no advisory about a package of PyPI.
    """
    advisories = list(read_advisories(snapshot))
    about_pypi = [entry for entry in advisories if any(map(_pypi_name, entry.get("affected", [])))]
    if not about_pypi:
        raise SnapshotError(
            f"{snapshot} has no advisory about a package of PyPI. Expected OSV's zip file for PyPI"
        )
    newest = max(str(entry.get("modified", "unknown")) for entry in about_pypi)
    print(f"{len(about_pypi)} advisories; the newest was modified at {newest}")
    affected = False
    for lock in locks:
        versions = locked_versions(lock)
        findings = find_vulnerabilities(versions, about_pypi)
        affected = affected or bool(findings)
        print(f"\n{lock}: {len(versions)} packages, {len(findings)} known vulnerabilities")
        for finding in findings:
            remedy = f"fixed in {finding.fixed_in}" if finding.fixed_in else "no fixed version is known"
            print(f"  {finding.package} {finding.version}: {', '.join(sorted(finding.names))}; {remedy}")
            print(f"    {finding.summary}")
    return int(affected)


def main() -> int:
    """Returns the exit code. Prints one clear line if a file cannot be read."""
    if len(sys.argv) < 3:
        print(
            "Usage: audit_locks.py ADVISORIES LOCK..., for example audit_locks.py all.zip requirements.lock",
            file=sys.stderr,
        )
        return 2
    try:
        return audit(Path(sys.argv[1]), [Path(lock) for lock in sys.argv[2:]])
    except SnapshotError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
