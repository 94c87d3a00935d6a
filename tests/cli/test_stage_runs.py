"""The whole job and the single verbs run the same stages, so their lines in the lineage file are equal."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipeline import sample, settings
from pipeline.cli import app, whole_job
from pipeline.cli.options import Context
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import pinned_names
from pipeline.releases.current import current_release_id
from pipeline.settings import (
    Compute,
    Index,
    LakeSettings,
    Lineage,
    Model,
    Settings,
    Source,
    Telemetry,
    Text,
)
from pipeline.telemetry import METRICS
from tests.support.collector import Collector
from tests.support.receivers import serving

DAY = date(2024, 1, 1)


@dataclass(frozen=True)
class Job:
    """A whole job that was run: its settings, the lines of its lineage file, what it printed, and the
    collector of its metrics and traces."""

    settings: Settings
    lines: list[dict[str, Any]]
    output: list[str]
    collector: Collector


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """The whole job over one small day."""
    folder = tmp_path_factory.mktemp("job")
    sample.write(folder / "hours", days=1, seed=1, issues_per_day=60)
    values = Settings(
        source=Source(hours=str(folder / "hours")),
        lake=LakeSettings(root=str(folder / "lake")),
        compute=Compute(workers=1),
        text=Text(subwords=300, body_units=16),
        model=Model(
            embedding_size=8, hidden_size=8, contrast_epochs=1, epochs=1, batch_size=1024, sample_titles=0
        ),
        index=Index(trees=10),
        lineage=Lineage(file=str(folder / "lineage.json")),
    )
    with serving(Collector()) as collector, contextlib.redirect_stdout(io.StringIO()) as output:
        values = values.model_copy(update={"telemetry": Telemetry(otlp_endpoint=collector.address)})
        whole_job.run(Context.of(values), [DAY], retrain=False, variant=None, epochs=None)
    values = values.model_copy(update={"telemetry": Telemetry()})
    return Job(values, lineage_of(values), output.getvalue().splitlines(), collector)


def lineage_of(values: Settings) -> list[dict[str, Any]]:
    """The lines of the lineage file."""
    return [json.loads(line) for line in Path(values.lineage.file).read_text().splitlines()]


def test_the_whole_job_records_the_same_lineage_as_its_verbs(
    job: Job, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = Lake(job.settings.lake.root)
    (model,) = pinned_names(lake, "models")
    release = current_release_id(lake)
    verbs = [
        *(f"extract --day {DAY}", f"clean --day {DAY}"),
        *(f"vocab {model}", f"vectorize --model {model}", f"train {model}"),
        *(f"evaluate {model}", f"promote {model}", f"plan --release {release}"),
        *(f"{verb} --release {release}" for verb in ("vectorize", "embed", "predict", "index", "publish")),
    ]
    assert len(job.lines) == len(verbs)
    monkeypatch.setattr(settings, "load", lambda path: job.settings)
    for verb, line in zip(verbs, job.lines, strict=True):
        app(verb.split(), standalone_mode=False)
        assert lineage_of(job.settings) == [line], verb
        assert line["inputs"], verb
        assert line["outputs"], verb
    assert " took " not in capsys.readouterr().out  # only the whole job prints times


def test_the_whole_job_prints_the_time_and_memory_of_every_stage(job: Job) -> None:
    timings = [line.split() for line in job.output if " took " in line]
    assert [words[0] for words in timings] == [
        *("extract", "clean", "vocab", "vectorize", "train", "evaluate", "promote"),
        *("plan", "vectorize", "embed", "predict", "index", "publish", "collect"),
    ]
    assert all(words[1] == "took" and words[3:6] == ["s;", "peak", "memory"] for words in timings)


def test_a_release_is_one_trace_from_plan_to_publish(job: Job) -> None:
    (plan,) = [span for span in job.collector.spans if span.name == "plan"]
    of_release = [span for span in job.collector.spans if span.trace_id == plan.trace_id]
    children = [span.name for span in of_release if span.parent_span_id == plan.span_id]
    assert children == ["vectorize", "embed", "predict", "index", "publish"]


def test_a_job_sends_every_metric_of_a_laptop(job: Job) -> None:
    values = job.collector.values()
    names = {name for name, *_ in values}
    # A single day needs no worker processes, and only BigQuery bills.
    of_others = {"titler.verb.worker_peak_memory", "titler.bigquery.billed", "titler.bigquery.cost"}
    assert METRICS.keys() - of_others <= names <= METRICS.keys()
    assert values["titler.release.issues", "publish"] == 60
    assert [value for (name, *_), value in values.items() if name == "titler.source.days"] == [1]
