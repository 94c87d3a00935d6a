"""`titler report`, and the report that a publication writes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from pipeline.cli import report_command
from pipeline.cli.options import Context
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.releases.current import require_current
from pipeline.serving.report import stored_report
from pipeline.serving.report.day_figures import DAY_FIGURES
from pipeline.settings import Settings
from tests.support.titler_in_process import titler


def current_release(settings: Settings) -> Pinned:
    return require_current(Lake(settings.lake.root))


def run(settings: Settings, *arguments: str) -> Any:
    return titler("report", *arguments, environment={"TITLER_LAKE__ROOT": settings.lake.root})


def test_a_publication_writes_the_report_beside_the_record(shared_settings: Settings) -> None:
    release = current_release(shared_settings)
    folder = Path(shared_settings.lake.root, "releases", release.name)
    assert f"<h1>Release {release.name}</h1>" in (folder / "report.html").read_text()
    assert (folder / "release.json").exists()
    assert [day["day"] for day in release.notes[DAY_FIGURES]["days"]] == ["2024-01-01", "2024-01-02"]


def test_the_verb_writes_the_page_to_a_file_and_prints_its_path(
    shared_settings: Settings, tmp_path: Path
) -> None:
    result = run(shared_settings, "--out", str(tmp_path / "page.html"))
    assert (result.returncode, result.stdout) == (0, f"{tmp_path / 'page.html'}\n")
    page = (tmp_path / "page.html").read_text()
    for heading in ("Source health", "Title quality", "Similar issues", "Drift"):
        assert f">{heading}</h2>" in page


def test_the_same_release_gives_the_same_file(shared_settings: Settings, tmp_path: Path) -> None:
    release = current_release(shared_settings)
    stored = Path(shared_settings.lake.root, "releases", release.name, "report.html").read_bytes()
    run(shared_settings, release.name, "--out", str(tmp_path / "page.html"))
    settings = "the thresholds of the checks are those of the settings"
    assert (tmp_path / "page.html").read_bytes() == stored, settings


def test_without_a_file_the_page_in_the_lake_and_in_mlflow_is_written_again(
    copied_settings: Settings,
) -> None:
    release = current_release(copied_settings)
    root = Path(copied_settings.lake.root)
    file = root / "releases" / release.name / "report.html"
    (logged,) = root.glob("mlflow/*/artifacts/report.html")
    file.unlink()
    logged.unlink()
    result = run(copied_settings, release.name)
    assert (result.returncode, result.stdout) == (0, f"{file}\n")
    assert file.read_bytes() == logged.read_bytes()


def test_a_report_that_is_written_again_keeps_the_stored_figures(copied_settings: Settings) -> None:
    release = current_release(copied_settings)  # the release before it is not in the lake
    first, last = release.notes[DAY_FIGURES]["days"]
    stored = {"days": [{**first, "confidence": 0.25}, last]}
    release.notes[DAY_FIGURES] = stored
    run(copied_settings, release.name)
    assert release.notes[DAY_FIGURES] == stored


def test_the_browser_opens_the_page(
    shared_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def open_page(address: str) -> bool:
        opened.append(address)
        return True

    monkeypatch.setattr("webbrowser.open", open_page)
    assert run(shared_settings, "--out", str(tmp_path / "page.html"), "--open").returncode == 0
    assert opened == [(tmp_path / "page.html").as_uri()]


def test_a_browser_cannot_open_a_page_in_a_bucket() -> None:
    result = titler("report", "r", "--open", environment={"TITLER_LAKE__ROOT": "memory://bucket"})
    assert result.returncode == 2
    assert "titler report r --out report.html --open" in result.stderr


def test_an_unknown_release_is_a_mistake(shared_settings: Settings) -> None:
    result = run(shared_settings, "nosuch")
    assert result.returncode == 2
    assert "No release is named nosuch" in result.stderr


def test_a_damaged_record_is_an_error_that_names_the_file(copied_settings: Settings) -> None:
    release = current_release(copied_settings)
    file = Path(copied_settings.lake.root, "releases", release.name, "release.json")
    file.write_text("{")
    result = run(copied_settings, release.name)
    assert result.returncode == 1
    assert str(file) in result.stderr
    assert "Traceback" not in result.stderr


def test_a_file_that_cannot_be_written_is_a_mistake(shared_settings: Settings, tmp_path: Path) -> None:
    result = run(shared_settings, "--out", str(tmp_path / "missing" / "page.html"))
    assert result.returncode == 2
    assert "cannot be written: No such file or directory." in result.stderr


def test_a_report_that_fails_stops_no_publication_but_is_reported(
    copied_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    release = current_release(copied_settings)
    file = Path(copied_settings.lake.root, "releases", release.name, "day_figures.json")
    file.unlink()
    file.mkdir()  # so the figures can be neither read nor written
    report_command.write_after_publication(Context.of(copied_settings), release)
    errors = capsys.readouterr().err
    assert f"Release {release.name} is published, but its report could not be written: " in errors
    assert f"Then type: titler report {release.name}\n" in errors
    assert "titler alert: " in errors


def test_a_publication_logs_the_release_with_its_report_to_mlflow(shared_settings: Settings) -> None:
    release = current_release(shared_settings)
    client = MlflowClient(shared_settings.tracking_uri)
    experiment = client.get_experiment_by_name("titler-releases")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.data.params["model"]) == (release.name, release.facts["model"])
    assert run.data.metrics["release/days"] == 2
    assert run.data.metrics["usage/predict_seconds"] > 0
    stored = Path(shared_settings.lake.root, "mlflow", run.info.run_id, "artifacts", "report.html")
    assert stored.read_bytes() == Path(stored_report.report_path(release)).read_bytes()


def test_the_report_shows_what_each_verb_has_used(shared_settings: Settings) -> None:
    page = Path(stored_report.report_path(current_release(shared_settings))).read_text()
    section = page.partition('id="cost"')[2]
    assert re.findall(r'class="name">(\w+)</th>', section) == [
        *("plan", "vectorize", "embed", "predict", "index"),
    ]


def test_an_mlflow_that_does_not_answer_stops_no_publication_but_is_reported(
    copied_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    release = current_release(copied_settings)
    tracking = copied_settings.tracking.model_copy(update={"uri": "http://127.0.0.1:9"})  # nobody listens
    settings = copied_settings.model_copy(update={"tracking": tracking})
    report_command.write_after_publication(Context.of(settings), release)
    printed = capsys.readouterr()
    assert printed.out == f"    report: {stored_report.report_path(release)}\n"
    assert (
        f"Release {release.name} is published, but it could not be logged to MLflow: "
        "MLflow at http://127.0.0.1:9 does not answer"
    ) in printed.err
    assert f"Then type: titler report {release.name}\n" in printed.err
    assert "titler alert: " in printed.err


def test_the_page_of_a_release_is_printed_although_mlflow_does_not_answer(copied_settings: Settings) -> None:
    environment = {
        "TITLER_LAKE__ROOT": copied_settings.lake.root,
        "TITLER_TRACKING__URI": "http://127.0.0.1:9",  # nobody listens
    }
    result = titler("report", environment=environment)
    assert result.returncode != 0
    assert result.stdout == f"{stored_report.report_path(current_release(copied_settings))}\n"
    assert "MLflow at http://127.0.0.1:9 does not answer" in result.stderr
