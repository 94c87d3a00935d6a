"""Damaged JSON documents of the lake: the error names the file, what was expected, and what helps."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import alerts
from pipeline.errors import LakeError
from pipeline.evaluation.model_figures import EVALUATION
from pipeline.lake.batches import KEY_POINTER, Lake
from pipeline.lake.day_catalogue import Catalogue
from pipeline.lake.pages import read_page_files
from pipeline.lake.pinned import Pinned
from pipeline.releases.current import current_release_id
from pipeline.releases.index_figures import INDEX_FIGURES
from pipeline.releases.records import RECORD
from pipeline.releases.withheld_titles import PROMOTION
from pipeline.serving.report.day_figures import DAY_FIGURES
from pipeline.settings import Alerts, Settings
from pipeline.stages.collect import COLLECTED, COLLECTED_DOCUMENT
from tests.support import lakes, titler_in_process

NOTES = {note.name: note for note in (RECORD, INDEX_FIGURES, PROMOTION, EVALUATION, DAY_FIGURES)}
MANIFEST_KEYS = ("table", "partition", "batch_id", "key", "digest", "rows", "files", "inputs")
KEYS: dict[str, tuple[str, ...]] = {
    "manifest.json": (*MANIFEST_KEYS, "parameters", "figures", "created_at"),
    "pointer": ("batch_id",),
    "plan.json": ("facts", "opened_at", "day_pages"),
    "pages": ("pages",),
    "catalogue.json": ("days", "manifests", "ids"),
    "releases/current.json": ("release_id",),
    "day_figures.json": ("days",),
    "collected.json": ("all_batches_recorded",),
    "evaluation.json": ("issues", "rougeL", "lead_rougeL", "champion"),
    "promotion.json": ("shortfall", "accepted"),
    "index.json": ("items", "recall_at_10", "recall_queries", "parameters"),
    "release.json": (
        *("release_id", "published_by", "published_at", "rolled_back", "model", "model_version"),
        *("vocabulary", "mlflow_run", "days", "issues", "index_items", "recall_at_10", "accepted"),
    ),
}
"""The keys that a document must have, by the kind of document."""
UNUSABLE = {
    "an empty list": b"[]",
    "an empty object": b"{}",
    "null": b"null",
    "a text": b'"x"',
    "a number": b"7",
    "deep nesting": b"[" * 100_000 + b"]" * 100_000,
    "objects nested deeply": b'{"a":' * 100_000,
    "bytes that are not UTF-8": b'{"\xff\xfe": 1}',
    "nothing": b"",
}
"""Contents that no document of the lake may have."""


def kind_of(path: str) -> str:
    """The kind of document at a path of the lake: a key of KEYS, or `list` for a list of folders."""
    folder, _, name = path.rpartition("/")
    if path == "releases/current.json" or name in KEYS:
        return path if path in KEYS else name
    if folder.endswith("/members"):
        return "list" if name in ("vocabulary.json", "predictor.json") else "pages"
    if name == "current.json" or folder.endswith("/keys"):
        return "pointer"
    return pytest.fail(f"{path} is a kind of document that these tests do not know")


PROTECTED = re.compile(r"mlflow/|pages/|[^/]+/model=.*(predictor|shape|vocabulary)\.json$")
"""Files that are checked by their digest, which is in their name or in a manifest."""


def documents(root: Path) -> list[str]:
    """One path per kind of document and table: all JSON files of a lake but those that a digest protects."""
    paths = sorted(str(path.relative_to(root)) for path in root.rglob("*.json"))
    unprotected = [path for path in paths if not PROTECTED.match(path)]
    # Of a table, one manifest, one current pointer and one pointer of a key are enough.
    similar = [re.sub(r"[^/=]+=[^/]+|[0-9a-f]{12,}", "*", path) for path in unprotected]
    return sorted(dict(zip(similar, unprotected, strict=True)).values())


def read(lake: Lake, path: str) -> Any:
    """Reads a document as the commands do."""
    folder, _, name = path.rpartition("/")
    subject = folder.split("/")
    if path == "releases/current.json":
        return current_release_id(lake)
    if name == "catalogue.json":
        return Catalogue.read(lake)
    if path == COLLECTED:
        return lake.get_json(COLLECTED, COLLECTED_DOCUMENT)
    if name == "manifest.json":
        return lake.manifest(folder)
    if folder.endswith("/keys"):
        return lake.get_json(path, KEY_POINTER)
    if subject[0] in ("models", "releases"):
        pinned = Pinned(lake, "models" if subject[0] == "models" else "releases", subject[1])
        if folder.endswith("/members"):
            return pinned.members.folders(name.removesuffix(".json"))
        stem = name.removesuffix(".json")
        return pinned.notes[NOTES[stem]] if stem in NOTES else pinned.plan
    return lake.current(subject[0], dict([subject[1].split("=")]))


def assert_is_refused(lake: Lake, path: str, content: bytes, what: str) -> None:
    lake.put(path, content)
    with pytest.raises(LakeError) as raised:
        read(lake, path)
    error, case = raised.value, f"{path} with {what}: {raised.value}"
    assert error.message.startswith(f"The file {lake.path(path)} is damaged: "), case
    assert " Expected " in error.message, case
    assert "\n" not in error.message, case
    assert len(error.message) < 500, case
    assert re.match(r"Delete |Restore |Run: |To see which releases and models use this ", error.hint), case
    assert error.exit_code == 1, case


@pytest.fixture(scope="module")
def lake(built_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A published lake, whose documents are damaged and restored."""
    root = tmp_path_factory.mktemp("documents") / "lake"
    return Lake(lakes.copy_lake(built_settings, root).lake.root)


def each_document(lake: Lake) -> Iterator[tuple[str, bytes]]:
    """Yields each kind of document with its content, and restores it afterwards."""
    for path in documents(Path(lake.root)):
        content = lake.get(path) or b""
        try:
            yield path, content
        finally:
            lake.put(path, content)


def test_every_kind_of_document_is_there(lake: Lake) -> None:
    kinds = {kind_of(path) for path in documents(Path(lake.root))}
    assert kinds == {*KEYS, "list"}


@pytest.mark.parametrize("what", UNUSABLE)
def test_a_document_with_other_content_is_refused(lake: Lake, what: str) -> None:
    for path, _ in each_document(lake):
        assert_is_refused(lake, path, UNUSABLE[what], what)


def test_a_truncated_document_is_refused(lake: Lake) -> None:
    for path, content in each_document(lake):
        assert_is_refused(lake, path, content.rstrip()[:-1], "its last character cut off")


def test_a_document_without_one_of_its_keys_is_refused(lake: Lake) -> None:
    for path, content in each_document(lake):
        for key in KEYS.get(kind_of(path), ()):
            values = {name: value for name, value in json.loads(content).items() if name != key}
            assert_is_refused(lake, path, json.dumps(values).encode(), f"no {key}")


def test_a_document_with_a_value_of_another_type_is_refused(lake: Lake) -> None:
    for path, content in each_document(lake):
        for key in KEYS.get(kind_of(path), ()):
            values = json.loads(content)
            value = values[key]
            values[key] = 1 if isinstance(value, str) or value is None else str(value)
            assert_is_refused(lake, path, json.dumps(values).encode(), f"{key} = {values[key]!r}")


def test_a_list_of_members_with_anything_but_folders_of_batches_is_refused(
    lake: Lake,
) -> None:
    for path, _ in each_document(lake):
        if kind_of(path) == "list":
            for wrong in ("", "predictor", "../../etc/model=m/b", 1, None, ["predictor/model=m/b"]):
                assert_is_refused(lake, path, json.dumps([wrong]).encode(), repr(wrong))
        if kind_of(path) == "pages":
            for wrong in ("", "../x.json", 1, None):
                content = json.dumps({"pages": {"2024-01": wrong}}).encode()
                assert_is_refused(lake, path, content, repr(wrong))


def test_a_manifest_of_another_batch_is_refused(lake: Lake) -> None:
    manifests = [path for path, _ in each_document(lake) if path.endswith("/manifest.json")]
    another = lake.get(manifests[0]) or b""
    for path, _ in each_document(lake):
        if path in manifests[1:]:
            assert_is_refused(lake, path, another, "another manifest")


def test_a_page_with_other_content_is_refused(lake: Lake) -> None:
    name = lake.names("pages")[0]
    content = lake.get(f"pages/{name}") or b""
    for wrong in UNUSABLE.values():
        lake.put(f"pages/{name}", wrong)
        with pytest.raises(LakeError, match=rf"{name} is missing, or it is damaged: its SHA-256 is not the"):
            read_page_files(lake, [name])
    lake.put(f"pages/{name}", content)


@pytest.mark.parametrize("what", [name for name in UNUSABLE if name != "an empty object"])
def test_a_damaged_record_of_sent_alerts_is_named_and_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    lake = Lake(str(tmp_path))
    lake.put(alerts.SENT_FILE, UNUSABLE[what])
    message = alerts.Message("it failed", "2015-01-03", "", "titler status")
    assert alerts.send_once(lake, Alerts(), message, "event")
    assert f"{lake.path(alerts.SENT_FILE)} is damaged: " in capsys.readouterr().err
    assert alerts.was_sent(lake, "event")
    assert capsys.readouterr().err == ""


# What helps


class Commands:
    """`titler` on a lake of its own."""

    def __init__(self, settings: Settings) -> None:
        self.root = Path(settings.lake.root)
        self.lake = Lake(settings.lake.root)
        self.release = str(current_release_id(self.lake))
        (self.model,) = self.lake.names("models")
        self._environment = {
            "TITLER_LAKE__ROOT": settings.lake.root,
            "TITLER_SOURCE__HOURS": settings.source.bases[0].base,
            "TITLER_COMPUTE__WORKERS": "1",
            "TITLER_TEXT__SUBWORDS": "600",
            "TITLER_TEXT__BODY_UNITS": "64",
            "TITLER_INDEX__TREES": "20",
        }

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        return titler_in_process.titler(*command.split(), environment=self._environment)

    def succeeds(self, command: str) -> None:
        done = self.run(command)
        assert done.returncode == 0, f"titler {command}: {done.stderr}"

    def follow(self, message: str, command: str) -> None:
        """Does what a message about a damaged document says. `command` is the one that printed it."""
        if "Delete this file" in message:
            (path,) = re.findall(r"The file (\S+) is damaged", message)
            Path(path).unlink()
        for folder in re.findall(r"[Dd]elete the folder ([^\s,]+)", message):
            shutil.rmtree(folder)
        for path in re.findall(r"and the file ([^\s,]+)", message):
            Path(path).unlink()
        named = re.findall(r"(?:run: |run `)titler ([^`\n]+)", message)
        self.succeeds(named[0] if named else command)


DAY = "2024-01-01"
SAME = [  # the file, and a command that reads it
    (f"issues_v1/day={DAY}/current.json", f"extract --day {DAY}"),
    (f"source_health_v1/day={DAY}/current.json", f"extract --day {DAY}"),
    (f"tokens_v1/day={DAY}/current.json", f"clean --day {DAY}"),
    ("releases/current.json", "status"),
    ("releases/RELEASE/release.json", "status"),
    ("releases/RELEASE/index.json", "index --release RELEASE"),
    ("releases/RELEASE/members/issues_v1.json", "publish --release RELEASE"),
    ("releases/RELEASE/members/source_health_v1.json", "publish --release RELEASE"),
    ("releases/RELEASE/members/vectors_v1.json", "embed --release RELEASE"),
    ("releases/RELEASE/members/embeddings_v1.json", "index --release RELEASE"),
    ("releases/RELEASE/members/title_predictions_v1.json", "publish --release RELEASE"),
    ("releases/RELEASE/members/segments_v1.json", "similar crash"),
    ("releases/RELEASE/members/similar_issues_v2.json", "publish --release RELEASE"),
    ("releases/RELEASE/members/duplicate_pairs_v1.json", "publish --release RELEASE"),
    ("models/MODEL/members/vectors_v1.json", "train MODEL"),
    ("models/MODEL/members/predictor.json", "plan"),
    ("days/catalogue.json", "status"),
]
"""Documents that a command writes again exactly as they were."""
EQUIVALENT = [
    (f"tokens_v1/day={DAY}/keys/*.json", f"clean --day {DAY}"),
    ("models/MODEL/members/vocabulary.json", "vectorize --model MODEL"),
]
"""Documents after whose damage a batch is written again."""
EARLIER = [
    ("releases/RELEASE/members/segments_v1.json", "similar crash"),
    ("releases/RELEASE/members/segments_v1.json", "index --release RELEASE"),
    ("releases/RELEASE/index.json", "index --release RELEASE"),
]
"""Documents of a release whose similar issues an earlier version of Titler has stored."""


@pytest.fixture(scope="module")
def commands(built_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Commands:
    root = tmp_path_factory.mktemp("followed") / "lake"
    commands = Commands(lakes.copy_lake(built_settings, root))
    commands.succeeds("collect")
    return commands


def without_usage(document: bytes) -> Any:
    """The value of a document without the time and the memory of the command that wrote it."""
    value = json.loads(document)
    return {key: item for key, item in value.items() if key != "usage"} if isinstance(value, dict) else value


def damaged_and_mended(
    commands: Commands, pattern: str, command: str, *, then: str | None = None
) -> tuple[Path, Any]:
    """Damages a document, and does what the error says. Then `command` succeeds, or else the command `then`.
    Returns the document's path and its value before."""
    pattern, command = (
        text.replace("MODEL", commands.model).replace("RELEASE", commands.release)
        for text in (pattern, command)
    )
    path = sorted(commands.root.glob(pattern))[0]
    before = path.read_bytes()
    path.write_bytes(b"{}")
    try:
        refused = commands.run(command)
        assert refused.returncode == 1
        assert refused.stdout == "" or command == "status"  # which shows what it can read
        assert refused.stderr.startswith(f"titler: The file {path} is damaged: it has no key `")
        assert "Traceback" not in refused.stderr
        commands.follow(refused.stderr, command)
        commands.succeeds(then or command)
    except BaseException:
        path.write_bytes(before)  # so that the next test finds a lake without damage
        raise
    return path, without_usage(before)


@pytest.mark.parametrize(("pattern", "command"), SAME)
def test_following_the_error_restores_the_document(commands: Commands, pattern: str, command: str) -> None:
    path, before = damaged_and_mended(commands, pattern, command)
    assert without_usage(path.read_bytes()) == before
    assert "nothing is new since release" in commands.run("plan").stdout


def test_following_the_error_about_the_mark_of_collect_writes_it_again(commands: Commands) -> None:
    path, before = damaged_and_mended(commands, "collected.json", "collect")
    assert json.loads(path.read_bytes()).keys() == before.keys()


@pytest.mark.parametrize(("pattern", "command"), EQUIVALENT)
def test_following_the_error_writes_an_equal_batch(
    copied_settings: Settings, pattern: str, command: str
) -> None:
    commands = Commands(copied_settings)
    damaged_and_mended(commands, pattern, command)
    assert "nothing is new since release" in commands.run("plan").stdout


def test_following_the_errors_about_a_release_of_an_earlier_version_restores_its_index(
    copied_settings: Settings,
) -> None:
    commands = Commands(copied_settings)
    members = commands.root / "releases" / commands.release / "members"
    (members / "similar_issues_v2.json").rename(members / "similar_issues_v1.json")
    for pattern, command in EARLIER:
        path, before = damaged_and_mended(commands, pattern, command)
        assert without_usage(path.read_bytes()) == before
    assert not (members / "similar_issues_v2.json").exists()


def test_following_the_errors_about_a_model_gives_its_figures_and_the_decision_again(
    copied_settings: Settings,
) -> None:
    commands = Commands(copied_settings)
    path, before = damaged_and_mended(commands, "models/MODEL/evaluation.json", "promote MODEL")
    assert without_usage(path.read_bytes()) == before
    path, before = damaged_and_mended(commands, "models/MODEL/promotion.json", "plan")
    assert json.loads(path.read_bytes()) == {**before, "accepted": None}


def test_following_the_error_about_the_plan_of_the_current_release_makes_a_new_release(
    copied_settings: Settings,
) -> None:
    commands = Commands(copied_settings)
    damaged_and_mended(commands, "releases/RELEASE/plan.json", "plan")
    new = max(name for name in commands.lake.names("releases") if name != "current.json")
    assert new != commands.release
    for verb in ("vectorize", "embed", "predict", "index"):
        commands.succeeds(f"{verb} --release {new}")
    commands.succeeds(f"publish --release {new}")
    commands.succeeds("collect")
    assert current_release_id(commands.lake) == new
    assert "nothing is new since release" in commands.run("plan").stdout


def test_following_the_error_about_the_plan_of_a_model_opens_the_model_again(
    copied_settings: Settings,
) -> None:
    commands = Commands(copied_settings)
    path, before = damaged_and_mended(
        commands, "models/MODEL/plan.json", "plan", then=f"vectorize --model {commands.model}"
    )
    assert json.loads(path.read_bytes())["facts"]["text"] == before["facts"]["text"]
