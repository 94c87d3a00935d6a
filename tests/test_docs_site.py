"""The documentation site: it builds without a network, no link is broken, its lists agree with the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from pipeline.source.day_verdict import Verdict
from tests.test_architecture import LAYERS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(ROOT) for path in DOCS.glob("*.md"))
BROKEN_LINKS = {
    "a page": "[a](missing.md)",
    "a heading of another page": "[a](other.md#missing)",
    "a heading of this page": "[a](#missing)",
    "a file": "[a](../pipeline/missing.py)",
    "a folder": "[a](../missing/)",
    "a file outside the repository": "[a](../../outside.txt)",
}
GOOD_LINKS = (
    "[a](other.md) [b](other.md#a-heading) [c](#start) [`file`](../pipeline/a.py) [folder](../pipeline/)"
)


def build(source: Path, site: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Builds the site as `make docs` does."""
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    folders = [
        "-c",
        str(ROOT / "infra" / "docs_site"),
        "-d",
        str(site.parent / "cache"),
        str(source),
        str(site),
    ]
    return subprocess.run(
        [*command, *folders], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of this repository."""
    folder = tmp_path_factory.mktemp("site") / "html"
    result = build(ROOT, folder)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def small_repository(tmp_path: Path) -> Path:
    """A repository with two pages and one source file."""
    repository = tmp_path / "repository"
    for name, text in {"docs/other.md": "# Other\n\n## A heading\n", "pipeline/a.py": "A = 1\n"}.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text, encoding="utf-8")
    (tmp_path / "outside.txt").write_text("outside", encoding="utf-8")
    return repository


def test_the_make_target_builds_what_these_tests_build():
    dry_run = subprocess.run(
        ["make", "--dry-run", "docs"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert "sphinx-build --fail-on-warning --keep-going --quiet -c infra/docs_site" in dry_run.stdout
    assert "build/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("page", [*map(str, PAGES), "README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_every_page_is_on_the_site_and_in_the_navigation(site, page):
    html = site / Path(page).with_suffix(".html")
    assert html.is_file()
    start = (site / "docs" / "index.html").read_text(encoding="utf-8")
    address = "#" if page == "docs/index.md" else os.path.relpath(html, site / "docs")
    assert f'href="{address}"' in start


def test_the_root_of_the_site_leads_to_the_start_page(site):
    assert 'content="0; url=docs/index.html"' in (site / "index.html").read_text(encoding="utf-8")


def test_a_page_loads_nothing_from_the_network(site):
    html = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.html"))
    assert re.findall(r'<script[^>]+src="(?:https?:)?//[^"]+', html) == []
    assert re.findall(r'<(?:link|img)[^>]+(?:href|src)="(?:https?:)?//[^"]+', html) == []
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//[^)]*", styles) == []


def test_links_that_lead_somewhere_pass(small_repository, tmp_path):
    (small_repository / "docs" / "index.md").write_text(f"# Start\n\n{GOOD_LINKS}\n", encoding="utf-8")
    result = build(small_repository, tmp_path / "html")
    assert (result.returncode, result.stderr) == (0, "")


def test_each_broken_link_fails_the_build(small_repository, tmp_path):
    text = "# Start\n\n[a](other.md)\n\n" + "\n\n".join(BROKEN_LINKS.values())
    (small_repository / "docs" / "index.md").write_text(text, encoding="utf-8")
    result = build(small_repository, tmp_path / "html")
    lines = sorted(int(line) for line in re.findall(r"index\.md:(\d+): WARNING", result.stderr))
    assert result.returncode == 1
    assert lines == [5, 7, 9, 11, 13, 15], result.stderr


@pytest.mark.parametrize(
    ("address", "file_link", "folder_link"),
    [
        ("", r'href="\.\./_downloads/\w+/a\.py"', r"<span[^>]*>folder</span>"),
        (
            "https://example.org/titler/blob/main",
            'href="https://example.org/titler/blob/main/pipeline/a.py"',
            'href="https://example.org/titler/blob/main/pipeline"',
        ),
    ],
)
def test_a_link_to_the_repository_leads_to_its_address_or_to_a_copy(
    small_repository, tmp_path, address, file_link, folder_link
):
    (small_repository / "docs" / "index.md").write_text(f"# Start\n\n{GOOD_LINKS}\n", encoding="utf-8")
    build(small_repository, tmp_path / "html", TITLER_DOCS_REPOSITORY=address)
    page = (tmp_path / "html" / "docs" / "index.html").read_text(encoding="utf-8")
    assert re.search(file_link, page)
    assert re.search(folder_link, page)
    assert ("pipeline" in re.sub("<title>.*?</title>", "", page)) == bool(address)


def test_the_start_page_leads_to_every_page():
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if page.name != "index.md" and f"]({page.name})" not in text] == []


def test_the_layers_on_the_page_are_those_of_the_code():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| (\d+) \| `(\w+)` \| \S", text)
    layers: dict[int, list[str]] = {}
    for number, subject in rows:
        layers.setdefault(int(number), []).append(subject)
    on_the_page = [sorted(layers[number]) for number in sorted(layers)]
    assert on_the_page == [sorted(layer.split()) for layer in LAYERS]


def test_every_folder_of_the_package_is_on_the_page():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    modules = {path.stem for path in (ROOT / "pipeline").glob("[a-z]*.py")}
    packages = {path.parent.name for path in (ROOT / "pipeline").glob("*/__init__.py")}
    assert modules | packages == set(re.findall(r"(?m)^\| \d+ \| `(\w+)` \|", text))


def test_the_glossary_has_the_verdicts_and_no_term_twice_in_a_part():
    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    assert set(re.findall(r"(?m)^\| `(\w+)` \| verdict: ", text)) == set(get_args(Verdict))
    for part in text.split("\n## ")[1:]:
        rows = re.findall(r"(?m)^\| ([^|]+) \| ([^|]+) \|$", part)[1:]
        assert len(rows) == len(set(rows)) > 5
