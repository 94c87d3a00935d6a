"""The champion served by MLflow's own command, asked over HTTP."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.networks.in_keras import Shape, build
from pipeline.predictor.predictor import Predictor
from pipeline.text.vocabulary import Vocabularies, Vocabulary
from pipeline.tracking import Tracking

WORDS = ("crash", "window", "close", "number", "error", "theme")
BODIES = [
    "The window did not close",
    "error 404: crash!",
    "## Themes\n\n```\ncode\n```\n the theme of the window \U0001f600",
    "nothing known",
]
PATIENCE = 120  # seconds for the server to import TensorFlow and answer


@dataclass(frozen=True)
class Served:
    """A running server, and the predictor that it should answer like."""

    address: str
    predictor: Predictor

    def ask(self, content: Any) -> Any:
        request = urllib.request.Request(
            f"{self.address}/invocations", json.dumps(content).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())


def made() -> Predictor:
    """An untrained network whose weights were shaken, so that titles differ."""
    vocabularies = Vocabularies(
        Vocabulary(WORDS, 5, "pre", False), Vocabulary(("_start_", "_end_", *WORDS), 6, "post", True)
    )
    network = build(
        "gru",
        Shape(vocabularies.body.size, vocabularies.title.size, 5, 6, embedding_size=4, hidden_size=5),
        seed=4,
    )
    rng = np.random.default_rng(4)
    network.model.set_weights(
        [
            weight + rng.normal(0, 1, weight.shape) * (weight.ndim > 1)
            for weight in network.model.get_weights()
        ]
    )
    return Predictor("m1", network, vocabularies, "titler", 0.2, 16)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("serve")
    predictor = made()
    predictor.save(root / "predictor")
    tracking = Tracking(f"sqlite:///{root}/mlflow.db", "titler", "titler", str(root / "mlflow"))
    with tracking.training_run("m1", {"variant": "gru"}, {}) as run:
        pass
    tracking.register(run.id, root / "predictor", "m1")
    tracking.promote("m1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        "mlflow",
        "models",
        "serve",
        "-m",
        "models:/titler@champion",
        "--env-manager",
        "local",
        "--port",
        str(port),
    ]
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {
        **os.environ,
        "PATH": programs,
        "MLFLOW_TRACKING_URI": tracking.uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    log = root / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=root, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        wait(f"http://127.0.0.1:{port}/ping", server, log)
        yield Served(f"http://127.0.0.1:{port}", predictor)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Until the server answers; fails with what it said where it ends or takes too long."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                assert answer.status == 200
                return
        except OSError:  # not there yet
            time.sleep(0.2)
    pytest.fail(f"the server did not answer:\n{log.read_text()[-3000:]}")


def assert_like(rows: list[dict[str, Any]], served: Served, bodies: list[str | None]) -> None:
    """Rows of an answer are the predictor's own predictions."""
    expected = served.predictor.predict(bodies)
    assert [(row["title"], row["abstained"]) for row in rows] == [
        (one.title, one.abstained) for one in expected
    ]
    assert [row["confidence"] for row in rows] == pytest.approx(
        [one.confidence for one in expected], abs=1e-6
    )
    np.testing.assert_allclose(
        [row["embedding"] for row in rows], [one.embedding for one in expected], atol=1e-6
    )


def test_a_list_of_bodies_gets_titles_confidences_and_embeddings(served: Served) -> None:
    answer = served.ask({"inputs": BODIES})
    assert len({row["title"] for row in answer["predictions"]}) > 2
    assert [sorted(row) for row in answer["predictions"]] == [
        ["abstained", "confidence", "embedding", "title"]
    ] * 4
    assert_like(answer["predictions"], served, [*BODIES])


def test_a_column_of_bodies_gets_the_same(served: Served) -> None:
    answer = served.ask({"dataframe_split": {"columns": ["body"], "data": [[body] for body in BODIES]}})
    assert_like(answer["predictions"], served, [*BODIES])


def test_a_body_that_is_empty_or_unknown_is_an_abstention(served: Served) -> None:
    rows = served.ask({"inputs": ["", "nothing known"]})["predictions"]
    assert [(row["title"], row["confidence"], row["abstained"]) for row in rows] == [("", 0.0, True)] * 2
    assert_like(rows, served, ["", "nothing known"])


def test_what_is_no_body_is_refused_and_the_server_goes_on(served: Served) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400"):
        served.ask({"texts": BODIES})
    assert_like(served.ask({"inputs": BODIES[:1]})["predictions"], served, [*BODIES[:1]])
