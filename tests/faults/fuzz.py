"""Fuzz tests: many generated inputs, each of which must be answered or refused.

    python -m tests.faults.fuzz [--inputs 1000000] [--seed 1] [--only KIND] [--lake DIR]

For each kind of input, a table says how many inputs were given, how many were answered, and how many were
refused with an error of Titler's own. Every other exception is a FAULT, and an input that takes more than
LONGEST_SECONDS of processor time is a HANG. The first ones of each place are printed with their input. The
same seed gives the same inputs. With DIR, which has a lake with a release, the release is served over HTTP
as well. The exit code is 1 if there was a fault or a hang.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import importlib
import os
import re
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from pipeline.errors import TitlerError, UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.json_documents import Document
from pipeline.serving import addresses
from pipeline.serving.http.app import make_app
from pipeline.settings import PREFIX, LakeSettings, Serve, Settings, load
from pipeline.source import issue_files
from pipeline.text import duplicate_marks, excerpt, issue_terms, ktext, markup
from pipeline.warehouse import SourceFile
from pipeline.warehouse.duckdb import DuckDBWarehouse
from tests.faults import fuzz_inputs as inputs
from tests.warehouse.events import DAY, EXTRACT

PIPELINE = Path(__file__).resolve().parents[2] / "pipeline"
LONGEST_SECONDS = 10
"""Processor time of one input, or of one file of lines."""
FAULTS_SHOWN = 20
LINES_PER_FILE = 50
INPUTS_PER_EXAMPLE = 5
"""Inputs that hypothesis draws together, which takes less time."""
SECONDS_TO_OPEN = 120
OF_RELEASE = "HTTP requests of a release"
Request = tuple[str, str, dict[str, str], bytes]
"""The method, the path, the headers and the body of a request."""
Target = Callable[[Any], bool]
"""Gives an input to the code. Returns whether it was answered, and not refused."""


class HangError(BaseException):
    """Raised in an input that takes too much processor time. No code catches it."""


@dataclass(frozen=True)
class Kind:
    """A kind of input: how it is made, where it is given, and its share of all inputs. `together` is the
    number of inputs that make one call of the target."""

    strategy: st.SearchStrategy[Any]
    target: Target
    share: float
    together: int = 1


@dataclass
class Outcomes:
    """How the inputs of a kind ended. `faults` has an input for each place and exception."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)


# --- the targets
# ----------------------------------------------------------


def clean_text(text: str) -> bool:
    """Everything that reads the text of an issue or of a comment."""
    text.encode("utf-8", "surrogatepass")
    ktext.tokens(text)
    for preparation in (markup.ORIGINAL_PREPARATION, markup.PROBLEM_FIRST):
        markup.prepare_body(text, preparation).encode()
    issue_terms.issue_terms([text], [text])
    issue_terms.term_words(text, text)
    duplicate_marks.find_mark(text, "a/b", 1)
    excerpt.excerpt(text)
    return True


def read_address(text: str) -> bool:
    """An address or a text of `titler similar`, then a repository's name."""
    with suppress(UsageError):
        addresses.repository_name(text)
    addresses.issue_url(text)
    return True


def read_lines(folder: Path) -> Target:
    """An hour file. No line may be lost: each is an event, or it is malformed."""
    warehouse = DuckDBWarehouse("nowhere")

    def target(lines: list[bytes]) -> bool:
        path = folder / f"{DAY}-5.json.gz"
        path.write_bytes(gzip.compress(b"\n".join(lines), compresslevel=1))
        extraction = warehouse.extract(EXTRACT, DAY, [SourceFile.of(path)])
        extraction.issues.read_all()
        assert extraction.events + len(extraction.malformed) >= sum(bool(line.strip()) for line in lines)
        return True

    return target


def read_file_of_issues(folder: Path) -> Target:
    """`--from-file`: all rows of a file, and all values that are read from a row."""

    def target(drawn: tuple[str, bytes]) -> bool:
        path = folder / f"issues{drawn[0]}"
        path.write_bytes(drawn[1])
        for issue in issue_files.read(path):
            _ = issue.url, issue.repo, issue.number, issue.is_pull_request, issue.closed, issue.labels
            issue.time("created_at")
        return True

    return target


def load_settings(folder: Path) -> Target:
    """A settings file and environment variables."""

    def target(drawn: tuple[str, dict[str, str]]) -> bool:
        path = folder / "settings.toml"
        path.write_bytes(drawn[0].encode("utf-8", "surrogatepass"))
        with _environment(drawn[1]):
            values = load(path)
        _ = values.public(), values.source.bases
        return True

    return target


def read_document(all_documents: Sequence[Document[Any]]) -> Target:
    """A JSON document of the lake. An input has the position of the document, and the content of its file."""

    def target(drawn: tuple[int, bytes]) -> bool:
        document = all_documents[drawn[0]]
        document.parse(drawn[1], "/lake", _path_of(document))
        return True

    return target


def send_request(folder: Path) -> Target:
    """A request to the HTTP server. It has no release, so a right one is refused with the status 503."""
    app = make_app(Lake(str(folder / "lake")), Settings(lake=LakeSettings(root=str(folder / "lake"))))
    loop = asyncio.new_event_loop()

    def target(drawn: Request) -> bool:
        status = loop.run_until_complete(_status(app, *drawn))
        assert 200 <= status < 500 or status == 503, f"status {status}"
        return status < 400

    return target


@contextmanager
def serving(settings: Settings) -> Iterator[Target]:
    """Opens the current release of a lake. The target is a request to the server that answers from it."""
    settings = settings.model_copy(update={"serve": Serve(workers=1)})
    app = make_app(Lake(settings.lake.root), settings)
    lifespan = app.router.lifespan_context(app)
    with asyncio.Runner() as runner:

        def target(drawn: Request) -> bool:
            status = runner.run(_status(app, *drawn))
            assert 200 <= status < 500, f"status {status}"
            return status < 400

        async def start() -> None:
            await lifespan.__aenter__()
            async with asyncio.timeout(SECONDS_TO_OPEN):
                while await _status(app, "GET", "/ready", {}, b"") != 200:
                    await asyncio.sleep(0.1)

        async def end() -> None:
            await lifespan.__aexit__(None, None, None)

        runner.run(start())
        try:
            yield target
        finally:
            runner.run(end())


def urls_of_release(settings: Settings) -> list[str]:
    """Returns the URLs of some issues of the current release."""
    with duckdb.connect(settings.warehouse_path, read_only=True) as connection:
        rows = connection.sql(
            "SELECT issue_url FROM title_predictions ORDER BY issue_id LIMIT 100"
        ).fetchall()
    return [str(url) for (url,) in rows]


async def _status(app: Any, method: str, path: str, headers: dict[str, str], body: bytes) -> int:
    sent: list[Any] = []
    named = {"host": "localhost", "content-type": "application/json", **headers}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path.encode("utf-8", "replace").decode(), "raw_path": path.encode("utf-8", "replace"),
        "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
        "headers": [(name.encode(), value.encode("latin-1", "replace")) for name, value in named.items()],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return int(sent[0]["status"])


def documents() -> list[Document[Any]]:
    """All documents of the lake: the module-level ones of the package. Tests may have made others."""
    by_id: dict[int, Document[Any]] = {}
    for path in sorted(PIPELINE.rglob("*.py")):
        if "Document(" in path.read_text() or "Document[" in path.read_text():
            name = ".".join(path.relative_to(PIPELINE.parent).with_suffix("").parts)
            module = importlib.import_module(name.removesuffix(".__init__"))
            by_id |= {id(each): each for each in vars(module).values() if isinstance(each, Document)}
    return sorted(by_id.values(), key=lambda each: str(each.form))


def _path_of(document: Document[Any]) -> str:
    """Returns a path that a document may have. What helps against damage depends on the path."""
    for path in ("releases/r/members/issues_v1.json", "releases/r/plan.json"):
        with suppress(ValueError):
            document.remedy("/lake", path)
            return path
    raise AssertionError(document.expected)


def _keys_of(document: Document[Any]) -> list[str]:
    schema = str(TypeAdapter(document.form).json_schema())
    return sorted(
        set(re.findall(r"'(\w+)': \{'(?:title|anyOf|type|\$ref|items|additionalProperties)'", schema))
    )


# --- the run
# ----------------------------------------------------------


@contextmanager
def kinds(served: Settings | None = None) -> Iterator[dict[str, Kind]]:
    """Yields all kinds of inputs, by name. Files are written to a temporary folder. `served` are the settings
    of a lake with a release. Without it, there are no requests that a release is needed for."""
    import pipeline.index.stored_orderings
    import pipeline.predictor.predictor_file
    import pipeline.releases.current
    import pipeline.stages.forget_references
    import pipeline.stages.rechecked_days  # noqa: F401 - their documents are fuzzed

    all_documents = documents()
    by_document = [
        st.tuples(st.just(number), inputs.json_values(_keys_of(document)).map(inputs.as_json))
        for number, document in enumerate(all_documents)
    ]
    with tempfile.TemporaryDirectory(prefix="titler-fuzz-") as name, ExitStack() as stack:
        folder = Path(name)
        of_release = {}
        if served is not None:
            requests = inputs.requests_of_release(urls_of_release(served))
            of_release[OF_RELEASE] = Kind(requests, stack.enter_context(serving(served)), 0.02)
        yield {
            "texts": Kind(inputs.TEXT, clean_text, 0.2),
            "addresses": Kind(inputs.ADDRESS, read_address, 0.25),
            "lines of hour files": Kind(inputs.LINE, read_lines(folder), 0.2, LINES_PER_FILE),
            "files of issues": Kind(inputs.ROWS, read_file_of_issues(folder), 0.1),
            "settings": Kind(inputs.SETTINGS, load_settings(folder), 0.01),
            "documents of the lake": Kind(st.one_of(by_document), read_document(all_documents), 0.2),
            "HTTP requests": Kind(inputs.REQUEST, send_request(folder), 0.04),
            **of_release,
        }


def run_kind(kind: Kind, count: int, number: int) -> Outcomes:
    """Gives `count` inputs of a kind, drawn with the seed `number`."""
    outcomes = Outcomes()
    size = max(INPUTS_PER_EXAMPLE, kind.together)
    strategy = st.deferred(lambda: kind.strategy)  # hypothesis would write out all values of the strategy
    batches = st.lists(strategy, min_size=size, max_size=size)

    @seed(number)
    @settings(
        max_examples=max(count // size, 1), deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(batches)
    def give(drawn: list[Any]) -> None:
        for each in [drawn] if kind.together > 1 else drawn:
            outcome, place = _outcome(kind.target, each)
            outcomes.counts[outcome] += kind.together
            if place:
                outcomes.faults.setdefault(place, repr(each)[:2000])

    give()
    return outcomes


def _outcome(target: Target, drawn: Any) -> tuple[str, str]:
    """Returns how an input ended, and for a fault its place and exception."""
    signal.signal(signal.SIGPROF, _raise_hang)
    signal.setitimer(signal.ITIMER_PROF, LONGEST_SECONDS)
    try:
        return ("answered" if target(drawn) else "refused"), ""
    except TitlerError:
        return "refused", ""
    except (Exception, HangError) as error:
        frames, trace = [], error.__traceback__
        while trace is not None:
            frames.append(f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}")
            trace = trace.tb_next
        outcome = "HANG" if isinstance(error, HangError) else "FAULT"
        return outcome, f"{outcome} {type(error).__name__}: {str(error)[:200]} at {' '.join(frames[-3:])}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _raise_hang(*_: object) -> None:
    raise HangError


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
        del os.environ[name]
    os.environ.update({name: value.encode("utf-8", "replace").decode() for name, value in variables.items()})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def main(arguments: Sequence[str]) -> int:
    """Runs the program. Returns its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--inputs", type=int, default=1_000_000, help="number of inputs of all kinds together"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="one kind of input")
    parser.add_argument("--lake", type=Path, help="folder of a lake with a release, which is served")
    options = parser.parse_args(arguments)
    failed = False
    print(
        f"{'kind of input':<24}{'inputs':>10}{'answered':>10}{'refused':>10}{'FAULT':>8}{'HANG':>8}",
        flush=True,
    )
    served = Settings(lake=LakeSettings(root=str(options.lake))) if options.lake else None
    with kinds(served) as all_kinds:
        for name, kind in all_kinds.items():
            if options.only not in ("", name):
                continue
            count = options.inputs if options.only else int(options.inputs * kind.share)
            outcomes = run_kind(kind, count, options.seed)
            counts = outcomes.counts
            columns = (sum(counts.values()), counts["answered"], counts["refused"])
            print(f"{name:<24}" + "".join(f"{each:>10,}" for each in columns), end="")
            print(f"{counts['FAULT']:>8,}{counts['HANG']:>8,}", flush=True)
            for place, example in list(outcomes.faults.items())[:FAULTS_SHOWN]:
                print(f"    {place}\n        {example}", flush=True)
            failed = failed or bool(outcomes.faults)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
