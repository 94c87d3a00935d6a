"""The Dockerfiles: what they copy is there, what they install is the lock's, and nothing that builds is
left in them."""

from __future__ import annotations

import fnmatch
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.infra.lint import INFRA, ROOT, program, run

CPU, GPU = INFRA / "Dockerfile", INFRA / "Dockerfile.gpu"
PINNED = re.compile(r"(?m)^([a-z0-9][\w.\-]*)(?:\[[^]]*\])?==(\S+)")
EXTRAS = ("kubernetes", "lineage")
RENEW = "run infra/lock.sh --keep"


def pins(path: Path) -> dict[str, str]:
    return dict(PINNED.findall(path.read_text()))


def instructions(path: Path) -> list[str]:
    """Each on one line, without comments."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()


def copied(path: Path) -> list[str]:
    """What comes out of this repository."""
    return [
        word
        for line in instructions(path)
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    ]


def ignored(name: str) -> bool:
    """Whether .dockerignore keeps it out; the last pattern that says something wins, and one for a folder
    is for all in it."""
    verdict = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if (
            line
            and not line.startswith("#")
            and any(
                fnmatch.fnmatchcase(part, pattern.removeprefix("**/"))
                for part in [str(parent) for parent in (Path(name), *Path(name).parents)]
            )
        ):
            verdict = not line.startswith("!")
    return verdict


@pytest.mark.parametrize("path", [CPU, GPU], ids=lambda path: path.name)
def test_what_is_copied_is_there_and_not_ignored(path):
    assert len(copied(path)) > 8
    for source in copied(path):
        assert (ROOT / source).exists(), source
        assert not ignored(source), source


def test_secrets_and_a_lake_never_enter_a_build():
    assert all(
        ignored(name)
        for name in (
            "infra/.env",
            "titler.env",
            "infra/titler.env",
            "lake",
            ".git",
            ".venv",
            "infra/terraform/main.tf",
            "infra/kubernetes/airflow.yaml",
        )
    )


@pytest.mark.parametrize("path", [CPU, GPU], ids=lambda path: path.name)
def test_pythons_version_is_one_that_setup_allows(path):
    bases = {line.split()[1] for line in instructions(path) if line.startswith("FROM ")}
    assert bases == {"${BASE}"}
    assert "ARG BASE=python:3.11-slim-bookworm" in instructions(path)
    assert 'python_requires=">=3.11,<3.13"' in (ROOT / "setup.py").read_text()


@pytest.mark.parametrize("path", [CPU, GPU], ids=lambda path: path.name)
def test_the_last_stage_builds_nothing_and_is_nobody_of_importance(path):
    last = "\n".join(instructions(path)).rpartition("FROM ")[2]
    assert "g++" not in last
    assert "\nUSER 50000:0\n" in last
    assert "\nHEALTHCHECK " in last
    assert "org.opencontainers.image.revision" in last


def test_both_differ_in_nothing_but_what_they_are_for():
    def common(path: Path) -> list[str]:
        return [
            re.sub(r"image-gpu|gpu|cpu", "KIND", line)
            for line in instructions(path)
            if not line.startswith(("LABEL", "ENV", "COPY infra/boot"))
        ]

    only_in_one = set(common(CPU)) - set(common(GPU))
    assert sorted(only_in_one) == [  # the GPU's image runs a task alone: no probes, and no demo
        "COPY infra/demo.py infra/demo_results.py infra/local_airflow.py infra/",
        *(line for line in instructions(CPU) if "/opt/titler/demo" in line),
        "RUN ln -s /opt/titler/infra/entrypoints/entrypoint.sh /entrypoint",
    ]
    only_in_other = set(common(GPU)) - set(common(CPU))
    assert sorted(only_in_other) == [line for line in instructions(GPU) if "--uid 50000" in line]


def test_a_driver_that_gke_mounts_is_found():
    (variables,) = [line for line in instructions(GPU) if line.startswith("ENV ")]
    assert "LD_LIBRARY_PATH=/usr/local/nvidia/lib64" in variables.split()


def test_the_images_have_what_setup_asks_for(monkeypatch):
    asked: dict[str, list[str]] = {}
    monkeypatch.setattr(
        "setuptools.setup",
        lambda **given: asked.update(run=given["install_requires"], **given["extras_require"]),
    )
    exec(compile((ROOT / "setup.py").read_text(), "setup.py", "exec"), {})
    wanted = {re.split(r"[\[=<>]", name)[0].lower() for kind in ("run", *EXTRAS) for name in asked[kind]}
    assert wanted - pins(INFRA / "image.txt").keys() == set(), RENEW
    assert wanted - pins(INFRA / "image-gpu.txt").keys() == {"tensorflow-cpu"}, RENEW


def test_a_wheel_has_the_sql_that_the_package_reads(monkeypatch):
    given: dict[str, Any] = {}
    monkeypatch.setattr("setuptools.setup", lambda **arguments: given.update(arguments))
    monkeypatch.chdir(ROOT)
    exec(compile((ROOT / "setup.py").read_text(), "setup.py", "exec"), {})
    folders = {
        file.parent.relative_to(ROOT).as_posix().replace("/", ".") for file in (ROOT / "sql").rglob("*.sql")
    }
    assert folders - set(given["packages"]) == set()
    assert given["package_data"] == {
        "": ["*.sql"],
        "pipeline": ["py.typed"],
        "pipeline.serving.http": ["*.html"],
        "pipeline.serving.report": ["templates/*"],
    }


def test_versions_are_the_locks():
    lock = pins(ROOT / "requirements.lock")
    assert pins(INFRA / "image.txt").items() <= lock.items(), RENEW
    own = pins(INFRA / "gpu.lock")
    assert pins(INFRA / "image-gpu.txt").items() - lock.items() == own.items(), RENEW
    assert own["tensorflow"] == lock["tensorflow-cpu"]
    assert "nvidia-cudnn-cu12" in own


def test_what_tests_is_in_no_image():
    assert {"pytest", "mypy", "ruff", "hypothesis", "zetasql"} & pins(INFRA / "image.txt").keys() == set()


def test_every_version_has_a_hash():
    for lock in (INFRA / "gpu.lock", INFRA / "lint" / "lint.lock"):
        blocks = re.split(r"(?m)^(?=[a-z0-9])", lock.read_text())[1:]
        assert all("--hash=sha256:" in block for block in blocks), lock


def test_an_image_of_another_kind_is_refused():
    refused = subprocess.run(
        [INFRA / "install_image.sh", "tpu", "/tmp/none"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert refused.stderr.startswith("install_image.sh: found 'tpu', expected cpu or gpu")


def test_settings_of_a_private_index_are_files_of_one_command():
    """As build arguments or variables, they would stay in the image's history."""
    for path in (CPU, GPU):
        (install,) = [
            line for line in instructions(path) if "install_image.sh" in line and line.startswith("RUN")
        ]
        assert re.findall(r"type=secret,id=([^,]+),", install) == [
            "pip.conf",
            "uv.toml",
            "ca-certificates.crt",
        ]
        names = [line.split()[1].split("=")[0] for line in instructions(path) if line.startswith("ARG ")]
        assert names == ["BASE", "REVISION"]


def test_without_a_program_that_builds_images_the_error_says_what_to_install(tmp_path):
    for name in ("bash", "dirname"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    refused = subprocess.run(
        ["/usr/bin/bash", INFRA / "build_image.sh", "cpu"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert refused.stderr.splitlines() == [
        "Nothing that builds images was found. Expected Docker with a running engine, or buildah.",
        "On Debian: apt-get install buildah crun",
    ]


def test_hadolint_finds_nothing():
    run(program("hadolint"), CPU, GPU)


def test_shellcheck_finds_nothing():
    run(
        program("shellcheck"),
        "--external-sources",
        *sorted(INFRA.glob("*.sh")),
        *sorted((INFRA / "entrypoints").glob("*[!y]")),
        ROOT / ".ci" / "run",
        ROOT / "tests" / "benchmarks" / "install_semantic.sh",
    )


def test_yamllint_finds_nothing():
    run(program("yamllint"), "--config-file", INFRA / "lint" / "yamllint.yaml", INFRA)
