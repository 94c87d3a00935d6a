"""Sphinx's configuration of the documentation site, which `make docs` builds without a network.

The pages are the repository's Markdown files at their own paths, so a link between two of them works on
GitHub and on the site. `make docs` treats warnings as errors, so it fails for a link whose page, heading,
file or folder does not exist.

The environment variable TITLER_DOCS_REPOSITORY is the address under which the repository's files can be read,
for example https://github.com/OWNER/REPOSITORY/blob/main. repository_links.py says what happens if it is not
set.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sphinx.application import Sphinx

CONFIGURATION_FOLDER = Path(__file__).resolve().parent
REPOSITORY = CONFIGURATION_FOLDER.parents[1]
ROOT_PAGES = {"README.md", "CONTRIBUTING.md", "CHANGELOG.md"}
# title of a part of the navigation -> its pages. Pages that are not listed go into the part LAST_PART.
NAVIGATION = {
    "Start here": ["README", "docs/querying", "docs/data", "docs/glossary"],
    "Operate": [
        "docs/operations",
        "docs/serving",
        "docs/sources",
        "docs/airflow",
        "docs/bigquery",
        "docs/lake",
        "docs/forgetting",
        "docs/security",
        "docs/lineage",
        "docs/costs",
        "infra/README",
    ],
    "Models": ["docs/choosing-a-network", "docs/mlflow", "docs/quality", "docs/experiments"],
    "Reference": ["docs/verbs", "docs/settings"],
    "Contribute": ["CONTRIBUTING", "docs/architecture", "CHANGELOG"],
}
LAST_PART = "More pages"

sys.path.insert(0, str(CONFIGURATION_FOLDER))

project = "Titler"
root_doc = "docs/index"
extensions = ["myst_parser", "repository_links"]
include_patterns = [*sorted(ROOT_PAGES), "docs/*.md", "infra/README.md"]
# Sphinx searches every folder that is not excluded, the virtual environment and the lake included.
exclude_patterns = [*sorted(set(os.listdir(REPOSITORY)) - ROOT_PAGES - {"docs", "infra"}), "infra/*/**"]

myst_heading_anchors = 4  # headings get the anchors that GitHub gives them
repository_url = os.environ.get("TITLER_DOCS_REPOSITORY", "")

html_theme = "furo"
html_title = "Titler"
html_copy_source = False
html_show_copyright = False
html_use_index = False
templates_path = ["templates"]
html_additional_pages = {"index": "redirect.html"}  # leads from the root of the site to docs/index.html


def add_navigation(app: Sphinx, page: str, source: list[str]) -> None:
    """Appends a list of all pages to the start page. Sphinx makes the navigation from this list.

    The list is not part of the Markdown file, because GitHub would show it as code.
    """
    if page != root_doc:
        return
    listed = {name for names in NAVIGATION.values() for name in names}
    last_part = sorted(app.env.found_docs - listed - {root_doc})
    for title, names in {**NAVIGATION, LAST_PART: last_part}.items():
        entries = "\n".join(f"/{name}" for name in names if name in app.env.found_docs)
        if entries:
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{entries}\n```\n"


def setup(app: Sphinx) -> None:
    """Registers `add_navigation`. Sphinx calls `setup` after it has read this configuration."""
    app.connect("source-read", add_navigation)
