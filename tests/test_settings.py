"""Settings: the defaults suit one laptop, and an unknown setting is an error that names it."""

import json

import pytest
from pydantic import SecretStr

import settings_page
from pipeline import settings
from pipeline.errors import UsageError


def test_the_defaults_suit_one_laptop():
    loaded = settings.load()
    assert (loaded.source.hours, loaded.lake.root, loaded.warehouse.path) == (
        "https://data.gharchive.org",
        "./lake",
        "",
    )


def test_a_file_overrides_defaults_and_the_environment_overrides_the_file(tmp_path, monkeypatch):
    file = tmp_path / "s.toml"
    file.write_text('[lake]\nroot = "/data"\n[model]\nepochs = 3\n')
    monkeypatch.setenv("TITLER_MODEL__EPOCHS", "5")
    loaded = settings.load(file)
    assert (loaded.lake.root, loaded.model.epochs, loaded.model.batch_size) == ("/data", 5, 64)


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
def test_the_error_for_a_file_names_the_key(tmp_path, toml, message):
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
def test_the_error_for_an_unknown_variable_names_the_nearest_setting(monkeypatch, name, nearest):
    monkeypatch.setenv(name, "x")
    with pytest.raises(UsageError, match=f"{name}: no such setting; the nearest is {nearest}\\."):
        settings.load()


@pytest.mark.parametrize(
    ("hours", "bases"),
    [
        ("2024", [("2024", "gharchive")]),  # a folder's name
        ('["/hours", "https://mirror"]', [("/hours", "gharchive"), ("https://mirror", "gharchive")]),
        (
            '["/hours", {"base": "https://mirror", "kind": "crawl-time"}]',
            [("/hours", "gharchive"), ("https://mirror", "crawl-time")],
        ),
    ],
)
def test_a_variable_names_one_base_of_hour_files_or_several(monkeypatch, hours, bases):
    monkeypatch.setenv("TITLER_SOURCE__HOURS", hours)
    assert [(base.base, base.kind) for base in settings.load().source.bases] == bases


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("hours = ''", "the text is empty; expected a folder or an address"),
        ("hours = []", "the list is empty; expected at least one folder or address"),
        ("hours = ['a', 'a/']", "the list has a more than once"),
        ("hours = '[1'", "the list is not JSON"),
        ("hours = 3", "expected a text, or a list of bases"),
        ("hours = [{base = 'a', kind = 'crawled'}]", "'kind': 'crawled'} is not a base; expected a text, or"),
    ],
)
def test_a_list_of_bases_that_is_not_one_is_refused(tmp_path, toml, message):
    file = tmp_path / "s.toml"
    file.write_text(f"[source]\n{toml}\n")
    with pytest.raises(UsageError, match=rf"source\.hours = .*{message}"):
        settings.load(file)


@pytest.mark.parametrize("name", ["TITLER_TEST_DATA", "TITLER_TEST_BIGQUERY_PROJECT"])
def test_the_variables_of_the_tests_are_allowed(monkeypatch, name):
    monkeypatch.setenv(name, "x")
    assert settings.load().model_fields_set == set()


@pytest.mark.parametrize("root", ["/x/lake", "/x/lake/", "file:///x/lake"])
def test_mlflow_and_the_warehouse_default_to_files_in_the_lake(monkeypatch, root):
    monkeypatch.setenv("TITLER_LAKE__ROOT", root)
    loaded = settings.load()
    assert (loaded.tracking_uri, loaded.warehouse_path) == (
        "sqlite:////x/lake/mlflow.db",
        "/x/lake/warehouse.duckdb",
    )


@pytest.mark.parametrize("root", ["gs://bucket/lake", "s3://bucket/lake", "memory://lake"])
def test_both_must_be_set_if_the_lake_is_a_bucket(monkeypatch, root):
    monkeypatch.setenv("TITLER_LAKE__ROOT", root)
    with pytest.raises(UsageError, match=r"Set tracking\.uri"):
        _ = settings.load().tracking_uri
    with pytest.raises(UsageError, match=r"Set warehouse\.path"):
        _ = settings.load().warehouse_path
    monkeypatch.setenv("TITLER_TRACKING__URI", "http://mlflow:5000")
    monkeypatch.setenv("TITLER_WAREHOUSE__PATH", "w.duckdb")
    loaded = settings.load()
    assert (loaded.tracking_uri, loaded.warehouse_path) == ("http://mlflow:5000", "w.duckdb")


def test_a_missing_settings_file_is_an_error(tmp_path):
    with pytest.raises(UsageError, match=r"none.toml: no such settings file"):
        settings.load(tmp_path / "none.toml")


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        settings.load().lake.root = "/elsewhere"


def test_public_settings_contain_no_credentials():
    configured = settings.Settings(
        source=settings.Source(hours="https://me:secret@mirror:8443/gh?signature=secret"),
        tracking=settings.Tracking(uri="postgresql://me:secret@mlflow:5432/runs?sslkey=secret"),
        alerts=settings.Alerts(kind="webhook", webhook_url=SecretStr("https://chat/hooks/secret")),
        serve=settings.Serve(token=SecretStr("secret")),
    )
    public = configured.public()
    assert (public["source"]["hours"], public["tracking"]["uri"]) == (
        "https://mirror:8443/gh",
        "postgresql://mlflow:5432/runs",
    )
    assert (public["lake"]["root"], public["model"]["epochs"], public["alerts"]["webhook_url"]) == (
        "./lake",
        7,
        "**********",
    )
    assert public["serve"]["token"] == "**********"
    assert "secret" not in json.dumps(public)
    mirror = settings.HourBase(base="https://me:secret@mirror", kind="crawl-time")
    several = settings.Source(hours=(mirror, settings.HourBase(base="hours")))
    assert settings.Settings(source=several).public()["source"]["hours"] == [
        {"base": "https://mirror", "kind": "crawl-time"},
        {"base": "hours", "kind": "gharchive"},
    ]


@pytest.mark.parametrize("toml", ['[serve]\ntoken = ["S3CRET"]', 'serve = "S3CRET"'])
def test_errors_about_the_token_of_the_server_do_not_contain_it(tmp_path, toml):
    (tmp_path / "s.toml").write_text(toml)
    with pytest.raises(UsageError, match="serve") as raised:
        settings.load(tmp_path / "s.toml")
    assert "S3CRET" not in str(raised.value)


def test_the_page_of_settings_is_up_to_date():
    assert settings_page.PAGE.read_text() == settings_page.page(), (
        "run .venv/bin/python infra/settings_page.py"
    )


def test_cloud_toml_loads_and_repeats_no_default():
    defaults, cloud = settings.load(), settings.load(settings_page.PAGE.parents[1] / "infra" / "cloud.toml")
    differences = {
        section: values for section, values in cloud.model_dump(exclude_unset=True).items() if values
    }
    for section, values in differences.items():
        assert all(getattr(getattr(defaults, section), key) != value for key, value in values.items())
