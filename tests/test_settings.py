"""Settings: defaults are one laptop; what is not known is refused by name."""

import json

import pytest
from pydantic import SecretStr

import settings_page
from pipeline import settings
from pipeline.errors import UsageError


def test_without_a_file_it_is_one_laptop():
    found = settings.load()
    assert (found.source.hours, found.lake.root, found.warehouse.path) == (
        "https://data.gharchive.org",
        "./lake",
        "",
    )


def test_a_file_changes_what_it_names_and_the_environment_has_the_last_word(tmp_path, monkeypatch):
    file = tmp_path / "s.toml"
    file.write_text('[lake]\nroot = "/here"\n[model]\nepochs = 3\n')
    monkeypatch.setenv("TITLER_MODEL__EPOCHS", "5")
    found = settings.load(file)
    assert (found.lake.root, found.model.epochs, found.model.batch_size) == ("/here", 5, 64)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[lake]\nrot = 'x'", "lake.rot: no such setting"),
        ("[pond]\nroot = 'x'", "pond: no such setting"),
        ("[model]\nepochs = 'many'", "model.epochs = 'many'"),
        ("[model]\nepochs = 0", "model.epochs = 0: Input should be greater than or equal to 1"),
        ("[lake\n", "is not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path, toml, message):
    file = tmp_path / "s.toml"
    file.write_text(toml)
    with pytest.raises(UsageError, match=message):
        settings.load(file)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("TITLER_LAKE__ROT", "TITLER_LAKE__ROOT"),
        ("TITLER_LAKE_ROOT", "TITLER_LAKE__ROOT"),
        ("titler_lake_root", "TITLER_LAKE__ROOT"),
        ("TITLER_MODEL__EPOCH", "TITLER_MODEL__EPOCHS"),
        ("TITLER_POND__ROOT", "TITLER_LAKE__ROOT"),
    ],
)
def test_an_unknown_variable_is_named_with_the_nearest_there_is(monkeypatch, name, nearest):
    monkeypatch.setenv(name, "x")
    with pytest.raises(UsageError, match=f"{name}: no such setting; the nearest is {nearest}\\."):
        settings.load()


@pytest.mark.parametrize("name", ["TITLER_TEST_DATA", "TITLER_TEST_BIGQUERY_PROJECT"])
def test_the_tests_own_variables_are_no_mistake(monkeypatch, name):
    monkeypatch.setenv(name, "x")
    assert settings.load().model_fields_set == set()


@pytest.mark.parametrize("root", ["/x/lake", "/x/lake/", "file:///x/lake"])
def test_mlflow_and_the_warehouse_lie_in_the_lakes_folder(monkeypatch, root):
    monkeypatch.setenv("TITLER_LAKE__ROOT", root)
    found = settings.load()
    assert (found.tracking_uri, found.warehouse_path) == (
        "sqlite:////x/lake/mlflow.db",
        "/x/lake/warehouse.duckdb",
    )


@pytest.mark.parametrize("root", ["gs://bucket/lake", "s3://bucket/lake", "memory://lake"])
def test_beside_a_lake_that_is_no_folder_both_must_be_set(monkeypatch, root):
    monkeypatch.setenv("TITLER_LAKE__ROOT", root)
    with pytest.raises(UsageError, match=r"Set tracking\.uri"):
        _ = settings.load().tracking_uri
    with pytest.raises(UsageError, match=r"Set warehouse\.path"):
        _ = settings.load().warehouse_path
    monkeypatch.setenv("TITLER_TRACKING__URI", "http://mlflow:5000")
    monkeypatch.setenv("TITLER_WAREHOUSE__PATH", "w.duckdb")
    found = settings.load()
    assert (found.tracking_uri, found.warehouse_path) == ("http://mlflow:5000", "w.duckdb")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"none.toml: no such settings file"):
        settings.load(tmp_path / "none.toml")


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        settings.load().lake.root = "/elsewhere"


def test_what_is_shown_of_settings_lets_nobody_in():
    made = settings.Settings(
        source=settings.Source(hours="https://me:secret@mirror:8443/gh?signature=secret"),
        tracking=settings.Tracking(uri="postgresql://me:secret@mlflow:5432/runs?sslkey=secret"),
        alerts=settings.Alerts(kind="webhook", webhook_url=SecretStr("https://chat/hooks/secret")),
    )
    shown = made.public()
    assert (shown["source"]["hours"], shown["tracking"]["uri"]) == (
        "https://mirror:8443/gh",
        "postgresql://mlflow:5432/runs",
    )
    assert (shown["lake"]["root"], shown["model"]["epochs"], shown["alerts"]["webhook_url"]) == (
        "./lake",
        7,
        "**********",
    )
    assert "secret" not in json.dumps(shown)


def test_the_page_of_settings_is_up_to_date():
    assert settings_page.PAGE.read_text() == settings_page.page(), (
        "run .venv/bin/python infra/settings_page.py"
    )


def test_cloud_toml_loads_and_holds_only_what_differs():
    here, cloud = settings.load(), settings.load(settings_page.PAGE.parents[1] / "infra" / "cloud.toml")
    written = {section: values for section, values in cloud.model_dump(exclude_unset=True).items() if values}
    for section, values in written.items():
        assert all(getattr(getattr(here, section), key) != value for key, value in values.items())
