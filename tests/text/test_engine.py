"""The engines: ours and PyPI's ktext, side by side with today's Keras."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

from pipeline.errors import UsageError
from pipeline.text.engine import tokenizer


def python(code: str) -> str:
    """What `code` prints in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-c", dedent(code)], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.parametrize("engine", ["titler", "ktext"])
def test_an_engine_makes_token_lists_of_texts(engine):
    assert tokenizer(engine)(["Fails on v2!", "", "see http://a.bc/d"]) == [
        ["fails", "on", "v2"],
        [],
        ["see", "url"],
    ]


def test_an_unknown_engine_is_refused_by_name():
    with pytest.raises(UsageError, match="'spacy', expected titler or ktext"):
        tokenizer("spacy")  # type: ignore[arg-type]  # that is the test


def test_the_real_ktext_leaves_keras_and_textacy_as_they_were():
    code = """
        import sys
        sys.modules["keras"] = keras = object()
        from pipeline.text.engine import tokenizer
        tokenizer("ktext")(["a"])
        print(sys.modules["keras"] is keras, [name for name in sys.modules if name.startswith(("keras.", "textacy", "pathos"))])
    """
    assert python(code) == "True []"


def test_ours_loads_neither_ktext_nor_what_it_needs():
    code = """
        import sys
        from pipeline.text.engine import tokenizer
        tokenizer("titler")(["a"])
        print([name for name in ("ktext", "_ktext_preprocess", "pandas", "ftfy", "unidecode") if name in sys.modules])
    """
    assert python(code) == "[]"


@pytest.mark.parametrize("package", ["ktext", "textacy"])
def test_a_missing_package_is_named_with_the_way_out(package):
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
    assert python(code) == f"text.engine is ktext, and {package} is not installed."
