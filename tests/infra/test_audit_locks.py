"""infra/audit_locks.py: which locked versions an advisory affects, and snapshots that cannot be read."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import pytest

from audit_locks import find_vulnerabilities, is_affected, locked_versions
from tests.infra.lint import INFRA, ROOT


def advisory(name="PYSEC-2024-26", package="aiohttp", ecosystem="PyPI", events=(), **other):
    """An advisory of OSV's format. By default, 3.9.2 fixes all earlier versions."""
    events = events or ({"introduced": "0"}, {"fixed": "3.9.2"})
    return {
        "id": name,
        "modified": "2024-02-06T20:20:18Z",
        "summary": "Request smuggling",
        "affected": [
            {
                "package": {"ecosystem": ecosystem, "name": package},
                "ranges": [{"type": "ECOSYSTEM", "events": list(events)}],
            }
        ],
        **other,
    }


def run(*arguments):
    return subprocess.run(
        [sys.executable, INFRA / "audit_locks.py", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_version_before_the_fixed_one_is_a_finding():
    (finding,) = find_vulnerabilities({"aiohttp": "3.9.1"}, [advisory(aliases=["CVE-2024-23829"])])
    assert (finding.package, finding.version, finding.fixed_in) == ("aiohttp", "3.9.1", "3.9.2")
    assert finding.names == {"PYSEC-2024-26", "CVE-2024-23829"}
    assert finding.summary == "Request smuggling"


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ("1.9", False),
        ("2.0rc1", False),
        ("2.0", True),
        ("2.4.1", True),
        ("2.5", False),
        ("3.1", True),
        ("3.2", False),
    ],
)
def test_a_range_begins_and_ends_as_its_events_say(version, affected):
    events = [{"introduced": "2.0"}, {"fixed": "2.5"}, {"introduced": "3.0"}, {"last_affected": "3.1"}]
    assert is_affected(version, {"ranges": [{"type": "ECOSYSTEM", "events": events}]}) is affected


@pytest.mark.parametrize(("version", "affected"), [("1.0", True), ("1.1", False)])
def test_a_range_can_be_one_version(version, affected):
    events = [{"introduced": "1.0"}, {"last_affected": "1.0"}]
    assert is_affected(version, {"ranges": [{"type": "ECOSYSTEM", "events": events}]}) is affected


def test_versions_are_compared_as_pypi_compares_them():
    assert find_vulnerabilities({"aiohttp": "3.10"}, [advisory()]) == []
    assert is_affected("1.0", {"versions": ["1.0.0"]})
    assert not is_affected("1.0", {"versions": ["1.0-legacy build"]})


def test_commits_of_git_are_not_versions():
    events = [{"introduced": "0"}, {"fixed": "33ccdfb0a12690af5bb49bda2319ec0907fa7827"}]
    assert not is_affected("3.9.1", {"ranges": [{"type": "GIT", "events": events}]})


def test_a_withdrawn_advisory_is_left_out():
    assert find_vulnerabilities({"aiohttp": "3.9.1"}, [advisory(withdrawn="2024-03-01T00:00:00Z")]) == []


def test_a_package_of_the_same_name_in_another_ecosystem_is_another_package():
    assert find_vulnerabilities({"aiohttp": "3.9.1"}, [advisory(ecosystem="npm")]) == []


def test_names_are_normalised():
    (finding,) = find_vulnerabilities({"ruamel-yaml": "0.1"}, [advisory(package="Ruamel.YAML")])
    assert finding.package == "ruamel-yaml"


def test_without_a_fixed_version_none_is_proposed():
    (finding,) = find_vulnerabilities({"aiohttp": "3.9.1"}, [advisory(events=[{"introduced": "0"}])])
    assert finding.fixed_in == ""


def test_two_advisories_with_the_same_cve_number_are_one_finding():
    same = [advisory(aliases=["CVE-1"]), advisory("GHSA-8qpw", aliases=["CVE-1"]), advisory("PYSEC-2023-1")]
    names = [finding.names for finding in find_vulnerabilities({"aiohttp": "3.9.1"}, same)]
    assert names == [{"CVE-1", "GHSA-8qpw", "PYSEC-2024-26"}, {"PYSEC-2023-1"}]


def test_versions_come_from_the_lock(tmp_path):
    lock = tmp_path / "lock"
    lock.write_text(
        "numpy==2.4.6 ; python_version < '3.13' \\\n    --hash=sha256:12\nUvicorn[standard]==0.40.0\n"
    )
    assert locked_versions(lock) == {"numpy": "2.4.6", "uvicorn": "0.40.0"}


def test_findings_end_with_exit_code_1_and_none_with_0(tmp_path):
    lock, snapshot = tmp_path / "lock", tmp_path / "all.zip"
    with zipfile.ZipFile(snapshot, "w") as archive:
        archive.writestr("PYSEC-2024-26.json", json.dumps(advisory()))
    lock.write_text("aiohttp==3.9.1\n")
    affected = run(snapshot, lock)
    assert affected.returncode == 1
    assert affected.stdout.splitlines()[-2:] == [
        "  aiohttp 3.9.1: PYSEC-2024-26; fixed in 3.9.2",
        "    Request smuggling",
    ]
    lock.write_text("aiohttp==3.9.2\n")
    assert run(snapshot, lock).returncode == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "Expected a folder or a zip file of advisories"),
        ({}, "has no advisory about a package of PyPI"),
        ({"a.json": "{"}, "a.json is not valid JSON"),
        ({"a.json": "[]"}, "a.json is not an advisory"),
    ],
)
def test_a_snapshot_that_cannot_be_read_never_counts_as_no_findings(tmp_path, content, message):
    snapshot = tmp_path / "all.zip"
    if content is not None:
        snapshot.mkdir()
        for name, text in content.items():
            (snapshot / name).write_text(text)
    refused = run(snapshot, "requirements.lock")
    assert refused.returncode == 2
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_damaged_zip_file_or_lock_never_counts_as_affected(tmp_path):
    snapshot, lock = tmp_path / "all.zip", tmp_path / "lock"
    with zipfile.ZipFile(snapshot, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("PYSEC-2024-26.json", json.dumps(advisory()))
    whole = snapshot.read_bytes()
    snapshot.write_bytes(whole[:60] + bytes(20) + whole[80:])
    assert run(snapshot, "requirements.lock").returncode == 2
    snapshot.write_bytes(whole)
    lock.write_bytes(b"aiohttp==\xff")
    assert run(snapshot, lock).returncode == 2
