"""Writes docs/settings.md from `pipeline/settings.py`, where every setting is declared: .venv/bin/python infra/settings_page.py"""

from __future__ import annotations

from pathlib import Path

from pipeline.settings import PREFIX, Settings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"


def page() -> str:
    """The page: a table a section."""
    lines = [
        "# Settings",
        "",
        "The defaults are one laptop. A TOML file says what differs (`titler --settings FILE VERB`), and the environment",
        f"has the last word: `{PREFIX}LAKE__ROOT=/data/lake`. A setting that is not listed is an error.",
    ]
    for name, section in Settings.model_fields.items():
        kind = section.annotation
        assert kind is not None
        lines += [
            "",
            f"## {name}",
            "",
            (kind.__doc__ or "").strip(),
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
