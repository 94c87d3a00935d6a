"""The architecture, enforced: imports go strictly down the layers, and each heavy library has one home."""

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PIPELINE = Path(__file__).parents[1] / "pipeline"
LAYERS = [  # from top to bottom; what stands on one line does not import each other
    "cli",
    "serving",
    "stages",
    "releases index predictor",
    "warehouse text dataset evaluation tracking source compute alerts sample",
    "lake networks",
    "contracts",
    "settings",
    "errors progress usage telemetry provenance decompression threads eight_bits",
    "printed_text",
]
HOMES = {  # library -> the folders or modules of pipeline/ that may import it
    "tensorflow": "",
    "keras": "networks/in_keras networks/pretrained",
    "keras_hub": "networks/pretrained",
    "safetensors": "networks/pretrained",
    "huggingface_hub": "networks/pretrained",
    "h5py": "networks/in_numpy",
    "threadpoolctl": "threads",
    "mlflow": "tracking predictor/mlflow_model",
    "matplotlib": "tracking",
    "jinja2": "serving/report",
    "markupsafe": "serving/report",
    "dask": "compute",
    "distributed": "compute",
    "duckdb": "warehouse",
    "grpc": "warehouse",
    "sqlglot": "warehouse",
    "google": "warehouse/bigquery",
    "annoy": "index",
    "numkong": "eight_bits",
    "ktext": "text",
    "textacy": "text",
    "tokenizers": "text",
    "rouge_score": "evaluation",
    "sacrebleu": "evaluation",
    "sklearn": "evaluation",
    "fsspec": "source lake",
    "typer": "cli",
    "rich": "cli progress",
    "fastapi": "serving/http",
    "starlette": "serving/http",
    "uvicorn": "serving/http",
    "opentelemetry": "telemetry",
    "airflow": "",
    "openlineage": "",
}
MODULES = sorted(path for path in PIPELINE.rglob("*.py") if path != PIPELINE / "__init__.py")


def name_of(path: Path) -> str:
    """networks/in_keras/copy, for example."""
    return str(path.relative_to(PIPELINE).with_suffix(""))


def layer_of(subject: str) -> int:
    """The number of the layer of a folder or a module directly in pipeline/, 0 at the top."""
    return next(number for number, layer in enumerate(LAYERS) if subject in layer.split())


def imports_of(path: Path) -> set[str]:
    """Dotted names that a module imports, inside functions too, except those under TYPE_CHECKING."""
    names: set[str] = set()
    tree = ast.parse(path.read_text())
    only_for_types = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in only_for_types:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= (
                {f"{node.module}.{alias.name}" for alias in node.names}
                if node.module == "pipeline"
                else {node.module}
            )
    return names


def lines_of(function: ast.FunctionDef) -> int:
    """The lines of a function, its docstring included."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def modules_imported_by(path: Path) -> set[str]:
    """The modules of pipeline/ that a module imports, by `name_of`; packages themselves are left out."""
    names = {name_of(module) for module in MODULES if module.name != "__init__.py"}
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("pipeline."):
            folder = node.module.removeprefix("pipeline.").replace(".", "/")
            imported |= {folder} | {f"{folder}/{alias.name}" for alias in node.names}
    return imported & names


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_strictly_down(path):
    subject = name_of(path).split("/")[0]
    for name in imports_of(path):
        if name.startswith("pipeline.") and (imported := name.split(".")[1]) != subject:
            assert layer_of(imported) > layer_of(subject), (
                f"{subject} imports {imported}, which is not below it"
            )


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_heavy_library_has_one_home(path):
    for library in {name.split(".")[0] for name in imports_of(path)} & HOMES.keys():
        homes = HOMES[library].split()
        assert any(name_of(path) == home or name_of(path).startswith(f"{home}/") for home in homes), (
            f"{library} may be imported in {homes} only"
        )


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_stays_under_400_lines(path):
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_function_fits_on_a_screen(path):
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    assert {function.name: lines for function in functions if (lines := lines_of(function)) > 60} == {}


OTHER_JSON = {  # module -> the JSON that it reads, which is not a document of the lake
    "cli/stage_reports": "columns of a row of the warehouse",
    "networks/in_keras/checkpoint": "the facts in a checkpoint, which must be readable without pydantic",
    "networks/pretrained/network": "the title network's own file, beside its weights",
    "networks/pretrained/t5_checkpoint": "files of Hugging Face",
    "networks/shape": "shape.json, which must be readable without pydantic",
    "releases/audit": "columns of a record, whose form was checked when it was read",
    "serving/report/checks": "columns of a record, whose form was checked when it was read",
    "serving/report/neighbour_values": "a column of a record",
    "serving/report/title_values": "a column of a record",
    "settings/source": "a list in an environment variable",
    "source/file_rows": "a user's file",
    "source/hour_files": "lines of hour files",
    "source/issue_files": "labels in a user's file",
    "text/subwords": "a vocabulary, and what the tokenizers library returns",
    "text/vocabulary": "a vocabulary",
    "tracking/run": "a tag of MLflow",
    "warehouse/duckdb/malformed_lines": "lines of hour files",
}


def test_documents_of_the_lake_are_read_through_one_door():
    """`pipeline.lake.json_documents` checks the form of a document. `json.loads` does not."""
    readers = {
        name_of(path)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("json.loads", "json.load")
    }
    assert readers == set(OTHER_JSON)


def test_no_modules_import_each_other_in_a_circle():
    """Nor for type checking alone."""
    graph = {name_of(path): modules_imported_by(path) for path in MODULES}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_the_networks_need_only_keras_and_numpy():
    """A GPU machine without the rest of Titler's dependencies can train and benchmark them."""
    allowed = {*sys.stdlib_module_names, "keras", "numpy", "pipeline"}
    for path in (PIPELINE / "networks" / "in_keras").glob("*.py"):
        names = imports_of(path)
        assert {name.split(".")[0] for name in names} <= allowed, path
        assert {name.split(".")[1] for name in names if name.startswith("pipeline.")} <= {
            "networks",
            "errors",
        }, path


def test_no_module_lies_loose_in_the_package_unless_it_is_shared_by_all():
    loose = {path.stem for path in PIPELINE.glob("*.py")} - {"__init__"}
    assert loose == {
        *("alerts", "decompression", "errors", "printed_text"),
        *("progress", "eight_bits", "provenance", "telemetry", "threads", "usage"),
    }
