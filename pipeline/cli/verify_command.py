"""The command `titler verify`, and what it prints."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.console import count, print_json, say_wrapped
from pipeline.cli.options import Json, app, context
from pipeline.errors import LakeError
from pipeline.progress import say
from pipeline.warehouse.price import format_bytes

if TYPE_CHECKING:
    from pipeline.serving.verification import Verification

INDENT = 4


@app.command()
def verify(
    release: Annotated[
        str | None,
        typer.Option(
            "--release",
            metavar="RELEASE",
            help="Name of a release. By default, all releases, models and source days are read.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Read every file that releases, models and source days need, and check it against its digest. Also check
    that the records of the releases agree with the warehouse and MLflow. Show what is damaged, and how to
    repair it.

    Exits with code 1 if anything is damaged.

    Example: titler verify --release 20150104T031200Z
    """
    from pipeline.serving.verification import verify as verify_lake

    current = context()
    selected = current.release(release) if release else None
    if selected is not None:
        selected.require_open("To see the names of the releases: titler releases")
    verification = verify_lake(current.lake, current.settings, selected)
    print_verification(verification, as_json=as_json)
    if verification.damages:
        problems = count(len(verification.damages), "problem")
        raise LakeError(
            f"The lake {current.lake.root} has {problems}.",
            "The command to type is listed below each problem.",
        )


def print_verification(verification: Verification, *, as_json: bool) -> None:
    """Prints what was read and what is damaged, as text or as one JSON value."""
    if as_json:
        print_json(_to_json(verification))
        return
    speed = format_bytes(int(verification.bytes / max(verification.seconds, 1e-3)))
    say(
        f"verify: read {count(verification.files, 'file')} with {format_bytes(verification.bytes)} in "
        f"{verification.seconds:.1f} s ({speed} per second): {count(len(verification.releases), 'release')}, "
        f"{count(len(verification.models), 'model')}, {count(verification.batches, 'batch')}"
    )
    if not verification.damages:
        say(f"{' ' * INDENT}all files are intact")
    for text in verification.unchecked:
        say_wrapped(text, INDENT)
    for damage in verification.damages:
        say("")
        say_wrapped(damage.problem, INDENT)
        say_wrapped(f"needed by {', '.join(sorted(damage.used_by))}", INDENT)
        for line in damage.remedy.splitlines():
            say(f"{' ' * INDENT}{line}")


def _to_json(verification: Verification) -> dict[str, Any]:
    """Returns the value that `titler verify --json` prints. Do not rename its keys: other programs may read
    them."""
    damages = [{**asdict(damage), "used_by": sorted(damage.used_by)} for damage in verification.damages]
    return {**asdict(verification), "damages": damages}
