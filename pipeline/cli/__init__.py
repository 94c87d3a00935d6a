"""The command line `titler`. It has one command per stage, such as `titler embed`, and commands for queries.

Only this package builds Settings and configures logging.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import typer

from pipeline import alerts
from pipeline.cli import (
    console,
    query_commands,
    release_commands,
    report_command,
    serve_command,
    stage_commands,
    stage_forget,
    verify_command,
)
from pipeline.cli.options import CURRENT, Context, app
from pipeline.errors import ExitCode, TitlerError, disk_error
from pipeline.printed_text import configure_logging, printable, without_secrets
from pipeline.progress import say
from pipeline.provenance import revision
from pipeline.tracking import configure_mlflow, mlflow_error

__all__ = [
    "app",
    "command",
    "main",
    "query_commands",
    "release_commands",
    "report_command",
    "serve_command",
    "stage_commands",
    "stage_forget",
    "verify_command",
]


def _print_version(is_requested: bool) -> None:
    if is_requested:
        code = revision()
        commit = (
            f" ({code.commit[:12]}{', with uncommitted changes' if code.changed else ''})"
            if code.commit
            else ""
        )
        say(f"titler {code.version}{commit}")
        raise typer.Exit


@app.callback()
def configure(
    settings_file: Annotated[
        Path | None,
        typer.Option(
            "--settings", metavar="FILE", help="TOML file with the settings that differ from the defaults."
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback if the command fails.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Prepares a command: stores the path of its settings file, and configures MLflow and logging.

    The settings are read later, when they are first needed. So `--help` works even if they are invalid.
    """
    CURRENT.set(Context(settings_file))
    configure_mlflow()
    configure_logging()
    # The module telemetry prints one line if metrics could not be sent.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    # TensorFlow warns when it compiles a function again. The networks do so on purpose, once per size of
    # training batch.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def main() -> None:
    """Runs the command line and exits with an `ExitCode`.

    After an error, prints a message and the command to type next. With `--debug`, prints a traceback instead.
    """
    arguments: list[Any] = sys.argv[1:]
    debug = "--debug" in arguments
    sys.excepthook = _print_traceback
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # silences TensorFlow's start-up messages
    try:
        code = app(args=arguments, standalone_mode=False)
        sys.stdout.flush()
    except TitlerError as error:
        if debug:
            raise
        if error.event:
            alerts.alert_about_error(CURRENT.get().lake, CURRENT.get().settings.alerts, error)
        console.error(str(error))
        code = error.exit_code
    except typer.TyperException as error:
        console.error(f"{error.format_message()}\nFor help: titler --help, or titler COMMAND --help")
        code = ExitCode.MISUSE
    except (KeyboardInterrupt, typer.Abort):
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.RETRYABLE
    except Exception as error:
        if debug:
            raise
        console.error(_unexpected(error, arguments))
        code = ExitCode.RETRYABLE
    if code == ExitCode.INTERRUPTED:
        console.error("Interrupted. To continue where it stopped, run the same command again.")
    sys.exit(int(code) if isinstance(code, int) else 0)


def _print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Prints a traceback. Secrets are masked. Control characters are replaced by codes, because the message
    of an error may quote the text of an issue."""
    lines = "".join(traceback.format_exception(kind, error, trace))
    print(printable(without_secrets(lines)), end="", file=sys.stderr, flush=True)


def _unexpected(error: Exception, arguments: list[Any]) -> str:
    """Returns the message for an error that is not a TitlerError.

    If a disk or MLflow caused the error, the message explains what to do. Otherwise the error is a bug in
    Titler, and the message says so.
    """
    explained = disk_error(error) or mlflow_error(error)
    if explained:
        return str(explained)
    return (
        f"Unexpected {type(error).__name__}: {error}\nThis is a bug in Titler. "
        f"To see where it happened: titler --debug {' '.join(arguments)}"
    )


def command() -> None:
    """Entry point of the executable `titler`. Runs `main`, then ends the process without running C++
    destructors, because they sometimes abort."""
    exit_code = [1]  # Python's own exit code after an exception
    atexit.register(_exit_process, exit_code)
    try:
        main()
    except SystemExit as error:
        exit_code[0] = error.code if isinstance(error.code, int) else 1
        raise


def _exit_process(exit_code: list[int]) -> None:
    """Flushes standard output and error, then ends the process without running C++ destructors.
    Destructors of Arrow sometimes abort while one of Arrow's threads is still working (apache/arrow#34314).

    This function is registered with atexit before `main` runs. atexit calls functions in reverse order, so
    this function runs after all functions that are registered later.

    `exit_code` is a list with one item, the exit code. A list is used because `main` determines the exit code
    after this function has been registered.
    """
    for stream in (sys.stdout, sys.stderr):
        # `main` has already reported this error, if standard error can still be written.
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(exit_code[0])
