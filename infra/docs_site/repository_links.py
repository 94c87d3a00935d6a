"""A Sphinx extension for links to files and folders of the repository that are not pages of the site.

The setting `repository_url` is the address under which the repository can be read. If it is set, such a link
leads to the file or folder there. If it is empty, the site contains a copy of each linked file, and a link to
a folder becomes plain text. If the target of a link does not exist, the Markdown parser MyST logs a warning.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers the setting `repository_url` and the handler that replaces the links."""
    app.add_config_value("repository_url", "", "env", str)
    app.connect("doctree-read", resolve_repository_links)
    return {"version": "1", "parallel_read_safe": True}


def resolve_repository_links(app: Sphinx, document: nodes.document) -> None:
    """Replaces a page's links to files or folders of the repository that are not pages of the site.

    The Markdown parser MyST represents a link to a file as `download_reference`, and a link to a folder as
    `pending_xref` without a domain. A link to a target outside the repository causes a warning.
    """
    repository, base_url = Path(app.srcdir), app.config.repository_url.rstrip("/")
    page_folder = Path(app.env.doc2path(app.env.docname)).parent
    links = [*document.findall(addnodes.pending_xref), *document.findall(addnodes.download_reference)]
    for link in links:
        if link.get("reftype") != "myst" or link.get("refdomain"):
            continue
        target = (page_folder / link["reftarget"].partition("#")[0]).resolve()
        if not target.exists():
            continue
        if not target.is_relative_to(repository):
            logger.warning("The link target %s is outside the repository", link["reftarget"], location=link)
        elif base_url:
            address = f"{base_url}/{target.relative_to(repository).as_posix()}"
            link.replace_self(nodes.reference("", "", *link.children, refuri=address))
        elif target.is_dir():
            link.replace_self(nodes.inline("", "", *link.children))
