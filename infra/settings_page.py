"""Writes docs/settings.md, the page of all settings, from their declarations in `pipeline/settings/`.

This command writes the page:

    .venv/bin/python infra/settings_page.py
"""

from __future__ import annotations

import inspect
from pathlib import Path

from pipeline.settings import PREFIX, Settings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"


def page() -> str:
    """Returns the page in Markdown, with one table per section of the settings."""
    lines = [
        "# Settings",
        "",
        "The defaults suit one laptop. To change a setting, write it into a TOML file and give this file to",
        "each command: `titler --settings FILE VERB`. Or set an environment variable, such as",
        f"`{PREFIX}LAKE__ROOT=/data/lake`. If both change the same setting, the environment variable counts.",
        "A key of the file that is not on this page is an error. So is any other variable that starts with",
        f"`{PREFIX}`.",
    ]
    for name, section in Settings.model_fields.items():
        kind = section.annotation
        assert kind is not None
        lines += [
            "",
            f"## {name}",
            "",
            inspect.cleandoc(kind.__doc__ or ""),
            "",
            "| setting | default | meaning |",
            "|---|---|---|",
        ]
        for key, field in kind.model_fields.items():
            default = str(field.default) or "(empty)"
            lines.append(f"| `{name}.{key}` | `{default}` | {field.description} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
