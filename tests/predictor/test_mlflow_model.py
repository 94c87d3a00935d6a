"""The champion is served by `mlflow models serve` and queried over HTTP."""

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
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.model import PythonModelContext

from pipeline.networks.in_keras import Shape, build
from pipeline.predictor.mlflow_model import TitlerModel, bodies_of
from pipeline.predictor.predictor import LightPredictor, Predictor
from pipeline.tracking import Tracking
from tests.predictor.small_predictors import SUBWORDS, word_predictor

BODIES = [
    "The window did not close",
    "error 404: crash!",
    "## Themes\n\n```\ncode\n```\n the theme of the window \U0001f600",
    "nothing known",
]
START_TIMEOUT = 120  # seconds for the server to import TensorFlow and answer


@dataclass(frozen=True)
class Server:
    """A running server, and the predictor whose predictions it must return."""

    address: str
    predictor: Predictor

    def invoke(self, content: Any) -> Any:
        request = urllib.request.Request(
            f"{self.address}/invocations", json.dumps(content).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("serve")
    predictor = word_predictor(abstain_below=0.2)
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
        process = subprocess.Popen(
            command, cwd=root, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        wait_until_ready(f"http://127.0.0.1:{port}/ping", process, log)
        yield Server(f"http://127.0.0.1:{port}", predictor)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_ready(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Waits until the server answers. Fails with the server's log if the server ends or takes too long."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5) as response:
                assert response.status == 200
                return
        except OSError:  # the server does not listen yet
            time.sleep(0.2)
    pytest.fail(f"the server did not answer:\n{log.read_text()[-3000:]}")


def test_missing_bodies_are_none_whatever_pandas_calls_them() -> None:
    values = pd.Series(["a crash", None, float("nan"), pd.NA], dtype=object)
    assert bodies_of(pd.DataFrame({"body": values})) == ["a crash", None, None, None]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"title": ["a crash"]}, r"^The first column is title; expected a table whose first column is body"),
        ({}, r"^The first column is none; expected"),
        ({"body": ["a crash", 5]}, r"^The body in row 1 is of the type int; expected text, or null"),
        ({"body": [["a", "b"]]}, r"^The body in row 0 is of the type list; expected text"),
    ],
)
def test_a_wrong_column_and_a_value_that_is_not_text_are_refused(
    columns: dict[str, Any], message: str
) -> None:
    with pytest.raises(MlflowException, match=message):
        bodies_of(pd.DataFrame(columns))


def assert_predictions(rows: list[dict[str, Any]], server: Server, bodies: list[str | None]) -> None:
    """Asserts that the rows of a response equal the predictor's predictions."""
    expected = server.predictor.predict(bodies)
    assert [(row["title"], row["abstained"]) for row in rows] == [
        (one.title, one.abstained) for one in expected
    ]
    assert [row["confidence"] for row in rows] == pytest.approx(
        [one.confidence for one in expected], abs=1e-6
    )
    np.testing.assert_allclose(
        [row["embedding"] for row in rows], [one.embedding for one in expected], atol=1e-6
    )


def test_a_list_of_bodies_gives_titles_confidences_and_embeddings(server: Server) -> None:
    rows = server.invoke({"inputs": BODIES})["predictions"]
    assert len({row["title"] for row in rows}) > 2
    assert [sorted(row) for row in rows] == [["abstained", "confidence", "embedding", "title"]] * 4
    assert_predictions(rows, server, [*BODIES])


def test_a_column_of_bodies_gives_the_same_predictions_as_a_list(server: Server) -> None:
    content = {"dataframe_split": {"columns": ["body"], "data": [[body] for body in BODIES]}}
    assert_predictions(server.invoke(content)["predictions"], server, [*BODIES])


def test_the_model_abstains_for_a_body_without_known_words(server: Server) -> None:
    rows = server.invoke({"inputs": ["", "nothing known"]})["predictions"]
    assert [(row["title"], row["confidence"], row["abstained"]) for row in rows] == [("", 0.0, True)] * 2
    assert_predictions(rows, server, ["", "nothing known"])


@pytest.mark.parametrize(
    "content",
    [
        {"inputs": ["error 404: crash!", None]},
        {"dataframe_split": {"columns": ["body"], "data": [["error 404: crash!"], [None]]}},
    ],
)
def test_a_body_of_null_is_no_body_and_not_the_word_none(server: Server, content: dict[str, Any]) -> None:
    rows = server.invoke(content)["predictions"]
    assert [row["abstained"] for row in rows] == [False, True]
    assert_predictions(rows, server, ["error 404: crash!", None])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"inputs": ["a crash", 5]}, "The body in row 1 is of the type int; expected text"),
        ({"dataframe_records": [{"title": "x", "body": "y"}]}, "The first column is title; expected"),
    ],
)
def test_the_server_says_what_is_wrong_with_a_request(
    server: Server, content: dict[str, Any], message: str
) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400") as refused:
        server.invoke(content)
    assert message in json.loads(refused.value.read())["message"]


def test_a_request_without_bodies_is_refused_and_the_server_continues(server: Server) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400"):
        server.invoke({"texts": BODIES})
    assert_predictions(server.invoke({"inputs": BODIES[:1]})["predictions"], server, [*BODIES[:1]])


def test_a_network_that_is_faster_in_numpy_predicts_the_same_titles_without_keras(tmp_path: Path) -> None:
    sizes = (SUBWORDS.body.size, SUBWORDS.title.size, SUBWORDS.body.length, SUBWORDS.title.length)
    network = build("copy", Shape(*sizes, embedding_size=8, hidden_size=8), seed=1)
    predictor = Predictor("m1", network, SUBWORDS, "titler", 0.0, 16)
    predictor.save(tmp_path)
    model, context = TitlerModel(), PythonModelContext({"predictor": str(tmp_path)}, None)
    model.load_context(context)
    assert isinstance(model._predictor, LightPredictor)
    titles = model.predict(context, pd.DataFrame({"body": BODIES})).title.tolist()
    assert titles == [prediction.title for prediction in predictor.predict([*BODIES])]
