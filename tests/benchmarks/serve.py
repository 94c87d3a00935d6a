"""How many requests `titler serve` answers per second, how fast, and with how much memory.

    PYTHONPATH=. .venv/bin/python tests/benchmarks/serve.py LAKE
    ... --workers 4                      another number of worker processes
    ... --seconds 600 --mixed 4          only a mixture of all requests, 4 per second, for ten minutes
    ... --json                           one JSON object

LAKE is a folder with a published release. `tests/benchmarks/night.py --folder DIR --keep` leaves one with as
many issues as wanted. The requests have the texts of issues of the release's last days.

The load generator is vegeta (tests/benchmarks/install_vegeta.sh), a program of its own. Each kind of request
is sent twice: as many as the server answers, by 32 clients per worker, and then half as many per second,
at a constant rate, whether or not the server keeps up.

Processor time is that of all processes of the server. It hardly depends on other programs on the machine;
requests per second and times of answers do, so the load of the machine is printed, too.

Two kinds of memory are printed. Anonymous memory is what the processes have allocated. It must not grow with
the number of requests. Mapped files are pages of files of the lake, which the operating system keeps as long
as nothing else needs the memory, and drops at any time. Pages that are shared are counted once.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from pipeline.contracts import ISSUES
from pipeline.lake.batches import Lake
from pipeline.releases.current import require_current

TEXTS = 500
TEXTS_OF_MIXTURE = 5000
"""So many that none is sent twice in some minutes. Otherwise caches could hide that memory grows."""
MINUTE = 60.0
MIXTURE = "all kinds in turns"
START_TIMEOUT = 900
CLIENTS_PER_WORKER = 32
"""So that several requests wait, as they do at a busy server. Titles that wait are computed together, and
searches, too."""
MEMORY_EVERY = 2.0
"""Seconds between two measurements of the memory."""
REQUESTS = {
    "/title": "/title",
    "/similar, of a draft in all repositories": "/similar",
    "/similar, of a draft in its repository": "/similar",
    "/similar, of an issue by its address": "/similar",
}


@dataclass(frozen=True)
class Memory:
    """The memory of all processes of the server, in MiB."""

    anonymous: float
    mapped_files: float


@dataclass(frozen=True)
class Measurement:
    """What one kind of request cost. `asked` is the rate at which requests were sent, or 0 for as many as are
    answered."""

    request: str
    asked: float
    answered_per_second: float
    refused: int
    p50_ms: float
    p99_ms: float
    processor_ms: float
    start: Memory
    end: Memory
    peak: Memory
    load: float


@dataclass(frozen=True)
class RunningServer:
    """A server that answers, and the process that was started for it."""

    address: str
    process: psutil.Process

    @property
    def processes(self) -> list[psutil.Process]:
        """The server's process and its workers."""
        return [self.process, *self.process.children(recursive=True)]

    def memory(self) -> Memory:
        """Returns the proportional set size of all processes, by kind."""
        kilobytes = Counter[str]()
        for process in self.processes:
            with suppress(OSError):  # the process has ended
                lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()[1:]
                kilobytes.update({name: int(value.split()[0]) for name, value in map(_split, lines)})
        return Memory(kilobytes["Pss_Anon"] / 1024, (kilobytes["Pss_File"] + kilobytes["Pss_Shmem"]) / 1024)

    def processor_seconds(self) -> float:
        """Returns the processor time of all processes so far."""
        times = [process.cpu_times() for process in self.processes]
        return sum(time.user + time.system for time in times)


def _split(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value


@contextmanager
def running_server(lake: Path, workers: int) -> Iterator[RunningServer]:
    """Starts `titler serve` and waits until it has a release open."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "TITLER_LAKE__ROOT": str(lake),
        "TITLER_SERVE__WORKERS": str(workers),
    }
    command = [sys.executable, "-m", "pipeline.cli", "serve", "--port", str(port)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            server = RunningServer(f"http://127.0.0.1:{port}", psutil.Process(process.pid))
            deadline = time.monotonic() + START_TIMEOUT
            while True:
                with suppress(OSError):  # it does not listen yet, or has no release open
                    urllib.request.urlopen(f"{server.address}/ready").close()
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    sys.exit(f"titler serve has no release open:\n{log.read().decode()[-3000:]}")
                time.sleep(0.5)
            yield server
        finally:
            process.terminate()
            process.wait()


def read_texts(root: Path, count: int = TEXTS) -> list[dict[str, Any]]:
    """Returns up to `count` issues of the release's last days that have a body, with `issue_url`, `repo`,
    `title` and `body`."""
    lake = Lake(str(root))
    release, rows = require_current(lake), list[dict[str, Any]]()
    for day in reversed(release.plan.days):
        issues = lake.read(release.issues(day), ISSUES, ["issue_url", "repo", "title", "body"]).to_pylist()
        rows += [row for row in issues if (row["body"] or "").strip() and row["title"]]
        if len(rows) >= count:
            break
    return rows[:count]


def contents(request: str, texts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the bodies of requests of a kind, one per text."""
    if request == "/title":
        return [{"body": text["body"]} for text in texts]
    if request.endswith("by its address"):
        return [{"address": text["issue_url"]} for text in texts]
    drafts = [{"title": text["title"], "body": text["body"]} for text in texts]
    if request.endswith("in its repository"):
        return [{**draft, "repo": text["repo"]} for draft, text in zip(drafts, texts, strict=True)]
    return drafts


def targets(address: str, request: str, texts: Sequence[Mapping[str, Any]]) -> bytes:
    """Returns the requests in vegeta's format, one JSON object per line."""
    return b"\n".join(
        json.dumps(
            {
                "method": "POST",
                "url": f"{address}{REQUESTS[request]}",
                "header": {"Content-Type": ["application/json"]},
                "body": base64.b64encode(json.dumps(content).encode()).decode(),
            }
        ).encode()
        for content in contents(request, texts)
    )


def send(vegeta: str, given: bytes, seconds: float, rate: float, clients: int) -> dict[str, Any]:
    """Sends requests for some seconds. Returns vegeta's report. The rate 0 stands for as many as `clients`
    clients get answered."""
    # vegeta reads whole numbers only.
    speed = [f"-rate={max(1, round(60 * rate))}/1m"] if rate else ["-rate=0", f"-max-workers={clients}"]
    attack = [vegeta, "attack", "-format=json", f"-duration={seconds:g}s", "-timeout=60s", *speed]
    results = subprocess.run(attack, input=given, stdout=subprocess.PIPE, check=True).stdout
    report = subprocess.run(
        [vegeta, "report", "-type=json"], input=results, stdout=subprocess.PIPE, check=True
    ).stdout
    value: dict[str, Any] = json.loads(report)
    return value


def measure(
    server: RunningServer, vegeta: str, request: str, given: bytes, seconds: float, rate: float, clients: int
) -> Measurement:
    """Sends requests of a kind, and returns what they cost."""
    memory, ended = [server.memory()], threading.Event()

    def sample_memory() -> None:
        while not ended.wait(MEMORY_EVERY):
            memory.append(server.memory())

    sampler = threading.Thread(target=sample_memory)
    sampler.start()
    processor = server.processor_seconds()
    try:
        report = send(vegeta, given, seconds, rate, clients)
    finally:
        ended.set()
        sampler.join()
    processor = server.processor_seconds() - processor
    memory.append(server.memory())
    answered = report["status_codes"].get("200", 0)
    return Measurement(
        request,
        rate,
        answered / (report["duration"] + report["wait"]) * 1e9,
        report["requests"] - answered,
        report["latencies"]["50th"] / 1e6,
        report["latencies"]["99th"] / 1e6,
        1000 * processor / report["requests"],
        memory[0],
        memory[-1],
        Memory(max(one.anonymous for one in memory), max(one.mapped_files for one in memory)),
        os.getloadavg()[0],
    )


def install_vegeta() -> str:
    """Returns the path of vegeta. Installs it if it is missing."""
    install = Path(__file__).with_name("install_vegeta.sh")
    return subprocess.run([install], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def measure_mixture(lake: Path, seconds: float, workers: int, rate: float) -> list[Measurement]:
    """Measures requests of all kinds, in turns, at a constant rate. Returns a measurement per minute. Each
    minute has other texts, until all were sent."""
    vegeta, texts, measurements = install_vegeta(), read_texts(lake, TEXTS_OF_MIXTURE), list[Measurement]()
    with running_server(lake, workers) as server:
        lines = [targets(server.address, request, texts).splitlines() for request in REQUESTS]
        mixture = deque(line for turn in zip(*lines, strict=True) for line in turn)
        clients = CLIENTS_PER_WORKER * workers
        while (rest := seconds - MINUTE * len(measurements)) > 0:
            length, requests = min(MINUTE, rest), b"\n".join(mixture)
            measurements.append(measure(server, vegeta, MIXTURE, requests, length, rate, clients))
            mixture.rotate(-round(rate * length))
    return measurements


def measure_all(lake: Path, seconds: float, workers: int) -> list[Measurement]:
    """Measures every kind of request, at full and at half speed."""
    vegeta, texts, measurements = install_vegeta(), read_texts(lake), []
    clients = CLIENTS_PER_WORKER * workers
    with running_server(lake, workers) as server:
        for request in REQUESTS:
            given = targets(server.address, request, texts)
            send(vegeta, given, 5, 0, clients)  # so that files are in memory
            full = measure(server, vegeta, request, given, seconds, 0, clients)
            measurements.append(full)
            half = full.answered_per_second / 2
            measurements.append(measure(server, vegeta, request, given, seconds, half, clients))
    return measurements


def print_table(measurements: Sequence[Measurement]) -> None:
    """Prints one table: a row per kind of request and rate."""
    print(
        "| request | asked per s | answered per s | refused | p50 ms | p99 ms | CPU ms | anonymous MiB "
        "| mapped MiB | load |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---|---|---:|")
    for one in measurements:
        print(
            f"| {one.request} | {f'{one.asked:.1f}' if one.asked else 'all'} | {one.answered_per_second:.1f} "
            f"| {one.refused} | {one.p50_ms:,.0f} | {one.p99_ms:,.0f} | {one.processor_ms:.1f} | "
            f"{one.start.anonymous:,.0f} to {one.end.anonymous:,.0f} (peak {one.peak.anonymous:,.0f}) | "
            f"{one.start.mapped_files:,.0f} to {one.end.mapped_files:,.0f} | {one.load:.1f} |"
        )


def main() -> None:
    """Prints one table, or one JSON value."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lake", type=Path, metavar="LAKE", help="folder of a lake with a published release")
    parser.add_argument("--seconds", type=float, default=60, help="length of each measurement")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="worker processes")
    parser.add_argument(
        "--mixed", type=float, metavar="RATE", help="measure a mixture, at this rate per second"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON value")
    chosen = parser.parse_args()
    if chosen.mixed:
        measurements = measure_mixture(chosen.lake, chosen.seconds, chosen.workers, chosen.mixed)
    else:
        measurements = measure_all(chosen.lake, chosen.seconds, chosen.workers)
    if chosen.json:
        print(json.dumps([asdict(one) for one in measurements], indent=1))
    else:
        print_table(measurements)


if __name__ == "__main__":
    main()
