"""Where a night runs: in a folder, with the lake in a bucket of S3 or of Google Cloud Storage, or with
BigQuery as the warehouse. The servers are emulators on loopback, behind proxies that cause faults."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.lake.batches import Lake
from tests.faults.night import SMALL, VERBS
from tests.faults.readers import Answer, Reader, answer, run_titler
from tests.support import emulator, stores
from tests.support.answer_faults import AnswerFault
from tests.support.emulator import PROJECT
from tests.support.stores import BUCKET

NIGHT = ("extract", "clean", "plan", "release", "embed", "predict", "index", "publish", "collect")
"""The commands of a night, in this order, by their names in VERBS."""
FOLDER, S3, GS, BIGQUERY = PLACES = ("folder", "s3", "gs", "bigquery")
DATASET = "titler"


@dataclass
class Place:
    """Where a night runs. `lake` is the folder with the files of the lake, also if the lake is a bucket.

    `changed` are the folders that commands change, relative to `folder`. `environment` has the settings of
    all commands. `verbs` are the commands that faults happen to. `requests` returns the number of requests to
    the server so far. `let_fail` lets the proxy cause a fault, and None ends it. `restart` is called when the
    folders were restored.
    """

    name: str
    folder: Path
    lake: Path
    changed: Sequence[str]
    environment: dict[str, str]
    verbs: Sequence[str] = NIGHT
    requests: Callable[[], int] = lambda: 0
    let_fail: Callable[[AnswerFault | None], None] = lambda fault: None
    restart: Callable[[], None] = lambda: None
    before: Path = field(init=False)

    def __post_init__(self) -> None:
        self.before = self.folder / "before"

    @property
    def database(self) -> Path:
        """MLflow's database."""
        return Path(self.environment["TITLER_TRACKING__URI"].removeprefix("sqlite:///"))

    @property
    def warehouse(self) -> Path:
        """DuckDB's file."""
        return Path(self.environment["TITLER_WAREHOUSE__PATH"])

    def use(self) -> None:
        """Lets this process and its children work in this place."""
        for name in [name for name in os.environ if name.startswith("TITLER_")]:
            del os.environ[name]
        os.environ.update(self.environment)

    def keep(self, verb: str) -> None:
        """Keeps a copy of everything as it is before a command."""
        for name in self.changed:
            shutil.copytree(self.folder / name, self.before / verb / name)

    def restore(self, verb: str) -> None:
        """Puts everything back to what it was before a command."""
        for name in self.changed:
            if (self.folder / name).exists():
                shutil.rmtree(self.folder / name)
            shutil.copytree(self.before / verb / name, self.folder / name)
        self.restart()


@contextmanager
def opened(name: str, folder: Path, hours: Path) -> Iterator[Place]:
    """A place in `folder`. Its servers run in the `with` block."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        **SMALL,
        "TITLER_SOURCE__HOURS": str(hours),
        "TITLER_COMPUTE__WORKERS": "1",
        "TITLER_LAKE__ROOT": str(folder / "lake"),
        "TITLER_LAKE__CACHE": str(folder / "cache"),
        "TITLER_TRACKING__URI": f"sqlite:///{folder}/lake/mlflow.db",
        "TITLER_WAREHOUSE__PATH": f"{folder}/lake/warehouse.duckdb",
    }
    if name == FOLDER:
        yield Place(name, folder, folder / "lake", ["lake"], settings)
    elif name == BIGQUERY:
        with _on_bigquery(folder, settings) as place:
            yield place
    else:
        with _in_bucket(name, folder, settings) as place:
            yield place


def has_servers() -> bool:
    """Returns whether the emulators were built."""
    return stores.programs() is not None


@contextmanager
def _in_bucket(protocol: str, folder: Path, settings: Mapping[str, str]) -> Iterator[Place]:
    programs = stores.programs()
    assert programs is not None, stores.MISSING
    (folder / "objects" / BUCKET).mkdir(parents=True, exist_ok=True)
    secret = secrets.token_hex(16)
    with ExitStack() as stack:
        if protocol == S3:
            server = stores.s3_server(programs, folder / "objects", stores.KEY, secret)
        else:
            server = stores.gcs_server(programs, folder / "objects")
        proxy = stack.enter_context(stores.proxied(stack.enter_context(server)))

        def let_fail(fault: AnswerFault | None) -> None:
            proxy.fault = fault

        os.environ |= (
            stores.credentials(proxy.address, secret)
            if protocol == S3
            else {"STORAGE_EMULATOR_HOST": proxy.address}
        )
        changed = ["local", f"objects/{BUCKET}/lake"]
        places = {
            "TITLER_LAKE__ROOT": f"{protocol}://{BUCKET}/lake",
            "TITLER_LAKE__CACHE": f"{folder}/local/cache",
            "TITLER_TRACKING__URI": f"sqlite:///{folder}/local/mlflow.db",
            "TITLER_WAREHOUSE__PATH": f"{folder}/local/warehouse.duckdb",
        }
        yield Place(
            protocol, folder, folder / changed[1], changed, {**settings, **places},
            requests=lambda: len(proxy.requests), let_fail=let_fail,
        )  # fmt: skip


def move_into_bucket(prepared: Path, place: Place) -> None:
    """Copies a prepared lake from a folder into the bucket of a place."""
    place.database.parent.mkdir()
    shutil.copy2(prepared / "mlflow.db", place.database)

    def upload() -> None:
        lake = Lake(place.environment["TITLER_LAKE__ROOT"])
        for path in sorted(prepared.rglob("*")):
            if path.is_file() and path.name not in ("mlflow.db", "warehouse.duckdb"):
                lake.put(str(path.relative_to(prepared)), path.read_bytes())

    checked(upload)
    checked(run_titler("rollback|r1"))  # makes the warehouse


@contextmanager
def _on_bigquery(folder: Path, settings: dict[str, str]) -> Iterator[Place]:
    """The emulator loses its tables when it ends, and starts anew for each command. Only release r1 is
    published then."""
    from google.cloud import bigquery

    from pipeline.settings import load
    from pipeline.warehouse.bigquery.client import connect
    from pipeline.warehouse.bigquery.lease import TABLE_NAMES

    program = emulator.program()
    assert program is not None, stores.MISSING
    running = ExitStack()
    proxies: list[emulator.Proxy] = []
    faults = ExitStack()

    def expire_leases() -> None:
        # A command that gets no answers cannot release its leases. BigQuery deletes them after minutes, but
        # the emulator never does.
        client = connect(load().warehouse)
        for table in TABLE_NAMES.values():
            client.delete_table(f"{PROJECT}.{DATASET}.{table}", not_found_ok=True)

    def restart() -> None:
        running.close()
        home = Path(running.enter_context(TemporaryDirectory(prefix="titler-emulator-")))
        proxy = running.enter_context(emulator.running(program, home)).proxy
        proxies[:] = [proxy]
        settings["TITLER_WAREHOUSE__ENDPOINT"] = proxy.endpoint
        os.environ.update(settings)

        def publish_first_release() -> None:
            connect(load().warehouse).create_dataset(bigquery.Dataset(f"{PROJECT}.{DATASET}"))
            run_titler("rollback|r1")()

        checked(publish_first_release)

    def let_fail(fault: AnswerFault | None) -> None:
        faults.close()
        if fault is not None:
            if fault.lasts or fault.what == "slow":  # other answers may be too slow, too
                faults.callback(checked, expire_leases)  # once the proxy answers again
            faults.enter_context(proxies[0].intervene(emulator.failing(fault)))

    settings |= {
        "TITLER_WAREHOUSE__KIND": "bigquery",
        "TITLER_WAREHOUSE__PROJECT": PROJECT,
        "TITLER_WAREHOUSE__DATASET": DATASET,
        "TITLER_WAREHOUSE__TIMEOUT": "60",
    }
    with running, suppress(ConnectionError):
        yield Place(
            BIGQUERY, folder, folder / "lake", ["lake"], settings, ["publish"],
            requests=lambda: len(proxies[0].requests), let_fail=let_fail, restart=restart,
        )  # fmt: skip


def command(verb: str) -> Reader:
    """Returns a function that runs a command of the night."""
    return run_titler("|".join(VERBS[verb]))


def checked(read: Reader) -> Answer:
    """Runs a reader in a process of its own. Raises RuntimeError if it does not end well."""
    result = answer(read, limit=600)
    if result.code:
        raise RuntimeError(f"The night without faults failed:\n{result.output}{result.errors}")
    return result
