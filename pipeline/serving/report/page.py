"""Turns the values of a report into one HTML page. The page needs no other file and no network."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.serving.report import charts
from pipeline.serving.report.issue_text import is_github_address, shown_text
from pipeline.serving.report.values import ReleaseValues, Unit

TEMPLATES = Path(__file__).parent / "templates"
MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
_UNITS_OF_SIZE = ("B", "KiB", "MiB", "GiB", "TiB")


def render(values: ReleaseValues) -> str:
    """Returns the page as HTML. The same values always give the same page."""
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=values,
            charts=charts,
            style=Markup(style),
            script=Markup(script),
            policy=content_policy(style, script),
        )
    )


def content_policy(style: str, script: str) -> str:
    """Returns the content security policy of the page: it loads nothing, and only its own style sheet and its
    own script are used."""
    return (
        f"default-src 'none'; style-src '{_source(style)}'; script-src '{_source(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _source(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "shown": shown_text,
        "value": format_value,
        "change": format_change,
        "time": lambda text: datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M UTC"),
    }
    environment.tests |= {"github_address": is_github_address}
    return environment


def format_value(value: Any, unit: Unit) -> str:
    """Formats a value with its unit, such as `1,234`, `12.3%` or `4.5 MiB`. None becomes a dash."""
    if value is None:
        return DASH
    if unit == "text":
        return str(value)
    if unit == "count":
        return f"{value:,.0f}"
    if unit == "share":
        return f"{value:.1%}"
    if unit == "bytes":
        return _size(value)
    if unit == "seconds":
        return _duration(value)
    if unit == "decimal":
        return f"{value:.3f}"
    return f"{value:.1f}" if unit == "score" else f"{value:,.1f}".removesuffix(".0")


def format_change(change: float | None, unit: Unit) -> str:
    """Formats the difference of two values with its unit, such as `+12` or `+0.4 points`. None becomes an
    empty text."""
    if change is None:
        return ""
    if unit == "share":
        text = f"{abs(change) * 100:.1f}"
        suffix = " points"
    else:
        text, suffix = format_value(abs(change), unit), ""
    if not any(digit in text for digit in "123456789"):
        return "no change"
    return f"{MINUS if change < 0 else '+'}{text}{suffix}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min"


def _size(size: float) -> str:
    for unit in _UNITS_OF_SIZE:
        if size < 1024 or unit == _UNITS_OF_SIZE[-1]:
            break
        size /= 1024
    return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
