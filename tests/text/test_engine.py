"""The engines: our code, and ktext from PyPI next to the Keras of today."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

from pipeline.errors import UsageError
from pipeline.text.engine import tokenizer


def python(code: str) -> str:
    """The output of `code` in a new interpreter."""
    return subprocess.run(
        [sys.executable, "-c", dedent(code)], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.parametrize("engine", ["titler", "ktext"])
def test_an_engine_returns_a_token_list_per_text(engine):
    assert tokenizer(engine)(["Fails on v2!", "", "see http://a.bc/d"]) == [
        ["fails", "on", "v2"],
        [],
        ["see", "url"],
    ]


def test_an_unknown_engine_is_an_error():
    with pytest.raises(UsageError, match="'spacy', expected `titler` or `ktext`"):
        tokenizer("spacy")  # type: ignore[arg-type]  # the error under test


def test_the_real_ktext_does_not_change_keras_or_textacy():
    code = """
        import sys
        sys.modules["keras"] = keras = object()
        from pipeline.text.engine import tokenizer
        tokenizer("ktext")(["a"])
        others = [name for name in sys.modules if name.startswith(("keras.", "textacy", "pathos"))]
        print(sys.modules["keras"] is keras, others)
    """
    assert python(code) == "True []"


def test_our_engine_imports_neither_ktext_nor_its_dependencies():
    code = """
        import sys
        from pipeline.text.engine import tokenizer
        tokenizer("titler")(["a"])
        names = ("ktext", "_ktext_preprocess", "pandas", "ftfy", "unidecode")
        print([name for name in names if name in sys.modules])
    """
    assert python(code) == "[]"


@pytest.mark.parametrize("package", ["ktext", "textacy"])
def test_the_error_for_a_missing_package_names_it(package):
    code = f"""
        import sys
        sys.modules[{package!r}] = None
        from pipeline.errors import UsageError
        from pipeline.text.engine import tokenizer
        try:
            tokenizer("ktext")
        except UsageError as error:
            print(error.message)
    """
    assert python(code) == f"text.engine is `ktext`, but the package {package} is not installed."
