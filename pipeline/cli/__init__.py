"""`titler`: one verb a stage, and the verbs that answer. The only place that builds Settings and configures logging."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline import alerts
from pipeline.cli import console, query_commands, stage_commands
from pipeline.cli.options import CURRENT, Context, app
from pipeline.errors import TitlerError, disk_error
from pipeline.tracking import configure_mlflow, mlflow_error

__all__ = ["app", "command", "main", "query_commands", "stage_commands"]

INTERRUPTED = 130


@app.callback()
def configure(
    settings_file: Annotated[
        Path | None,
        typer.Option("--settings", metavar="FILE", help="A TOML file with what differs from a laptop."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Reads nothing yet; says where settings come from."""
    CURRENT.set(Context(settings_file))
    configure_mlflow()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("tensorflow").setLevel(
        logging.ERROR
    )  # it warns of functions compiled anew: one a network and batch size, as meant


def main() -> None:
    """Runs the command line. An error is one clear line, with --debug its traceback.

    Exit codes: 0 done, 1 a failure that may pass, 2 misuse, 3 stopped until a person decides.
    """
    arguments: list[Any] = sys.argv[1:]
    debug = "--debug" in arguments
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's start-up notes
    try:
        code = app(args=arguments, standalone_mode=False)
        sys.stdout.flush()
    except TitlerError as error:
        if debug:
            raise
        if error.event:
            alerts.tell_error(CURRENT.get().lake, CURRENT.get().settings.alerts, error)
        console.error(str(error))
        code = error.exit_code
    except typer.TyperException as error:
        console.error(f"{error.format_message()}\nWhat there is: titler --help, titler VERB --help")
        code = 2
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:
        if debug:
            raise
        known = disk_error(error) or mlflow_error(error)
        console.error(
            str(known)
            if known
            else f"Unexpected {type(error).__name__}: {error}\nThis is a fault of Titler's. "
            f"See where it happened: titler --debug {' '.join(arguments)}"
        )
        code = 1
    if code == INTERRUPTED:
        console.error("Interrupted; the same command goes on where it was.")
    sys.exit(code if isinstance(code, int) else 0)


def command() -> None:
    """`titler`, as a process of its own."""
    ended = [1]  # as Python ends on an exception
    atexit.register(_leave, ended)
    try:
        main()
    except SystemExit as left:
        ended[0] = left.code if isinstance(left.code, int) else 1
        raise


def _leave(ended: list[int]) -> None:
    """Ends the process after all else that was registered to run at its end (the last registered runs first), with this code.

    It never comes to the destructors of C++: those of Arrow abort now and then while a thread of its pool is at work (apache/arrow#34314).
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # main has told of it, if anyone can still hear
            stream.flush()
    os._exit(ended[0])
