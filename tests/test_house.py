"""The plan of the house, held: imports go strictly down, one heavy library one room, rooms stay small."""

import ast
import sys
from pathlib import Path

import pytest

PIPELINE = Path(__file__).parents[1] / "pipeline"
FLOORS = [
    {"cli", "pyfunc"},
    {"job"},
    {"doctor", "console"},
    {"answers", "lineage"},
    {"stages"},
    {"release"},
    {"predictor", "split", "pins"},
    {
        "notify",
        "warehouse",
        "source",
        "text",
        "models",
        "ann",
        "compute",
        "tracking",
        "sample",
        "metrics",
        "retrieval",
        "confidence",
        "light",
        "health",
        "examples",
        "downstream",
    },
    {"lake", "bag"},
    {"stores"},
    {"contracts", "faults", "shape", "order"},
    {"settings"},
    {"errors", "progress", "who", "memory", "revision"},
]
ROOMS_OF = {
    "tensorflow": set(),
    "keras": {"models"},
    "h5py": {"light"},
    "mlflow": {"tracking", "pyfunc"},
    "matplotlib": {"tracking"},
    "dask": {"compute"},
    "distributed": {"compute"},
    "duckdb": {"warehouse"},
    "grpc": {"warehouse"},
    "sqlglot": {"warehouse"},
    "google": {"warehouse"},
    "annoy": {"ann"},
    "ktext": {"text"},
    "textacy": {"text"},
    "tokenizers": {"text"},
    "rouge_score": {"metrics"},
    "sacrebleu": {"metrics"},
    "sklearn": {"downstream"},
    "fsspec": {"source", "stores"},
    "typer": {"cli"},
    "airflow": set(),
    "openlineage": set(),
}
FILES = sorted(path for path in PIPELINE.rglob("*.py") if path != PIPELINE / "__init__.py")


def room(path: Path) -> str:
    return path.relative_to(PIPELINE).parts[0].removesuffix(".py")


def floor(name: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if name in rooms)


def imported(path: Path) -> set[str]:
    """Dotted names that a file imports, inside functions too, but not for type checking alone."""
    names: set[str] = set()
    tree = ast.parse(path.read_text())
    skipped = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "pipeline" else {node.module}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PIPELINE)))
def test_imports_go_strictly_down(path):
    here = room(path)
    for name in imported(path):
        if name.startswith("pipeline.") and (there := name.split(".")[1]) != here:
            assert floor(there) > floor(here), f"{here} imports {there}, which is not below it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PIPELINE)))
def test_a_heavy_library_has_one_room(path):
    for name in imported(path):
        rooms = ROOMS_OF.get(name.split(".")[0])
        assert rooms is None or room(path) in rooms, f"{name} belongs to {rooms}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PIPELINE)))
def test_a_module_stays_under_400_lines(path):
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", [path for path in FILES if room(path) == "models"], ids=lambda path: path.name)
def test_the_networks_need_only_keras_and_numpy(path):
    allowed = {*sys.stdlib_module_names, "keras", "numpy", "pipeline"}
    assert {name.split(".")[0] for name in imported(path)} <= allowed
    assert {name.split(".")[1] for name in imported(path) if name.startswith("pipeline.")} <= {"models", "shape", "bag", "errors"}
