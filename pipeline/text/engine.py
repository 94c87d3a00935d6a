"""The two engines that split text into words: our code (`pipeline.text.ktext`), and ktext 0.40 from PyPI.

ktext 0.40 cannot be imported as usual. It needs Keras's text module, which Keras 3 has removed. It also needs
the package textacy 0.6.2, whose `__init__` imports spaCy and other packages. So the file of ktext is run with
a special import function. This function replaces Keras's module with a few lines of ours, and loads textacy's
module `preprocess` under a private package name. All other imports work as usual. The modules `keras` and
`textacy` of the process do not change.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Literal

from pipeline.errors import UsageError
from pipeline.text import ktext

Engine = Literal["titler", "ktext"]
Tokenizer = Callable[[Sequence[str]], list[list[str]]]

_TEXTACY = "_textacy_without_its_init"
_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'


def tokenizer(engine: Engine) -> Tokenizer:
    """Returns a function that splits n texts into n lists of tokens (words), without `_start_` and `_end_`.

    `engine` is "titler" for our code, or "ktext" for the package ktext. Both give the same tokens.

    Raises UsageError if `engine` is unknown, or if it is "ktext" and ktext 0.40 or textacy 0.6.2 is not
    installed.
    """
    if engine == "titler":
        return _titler
    if engine == "ktext":
        process: Tokenizer = _real_ktext().processor().process_text
        return process
    raise UsageError(
        f"text.engine is {engine!r}, expected `titler` or `ktext`.",
        "Use the engine titler:  TITLER_TEXT__ENGINE=titler",
    )


def _titler(texts: Sequence[str]) -> list[list[str]]:
    return [ktext.tokens(text) for text in texts]


def textacy_preprocess() -> ModuleType:
    """Loads the module `preprocess` of textacy 0.6.2 without importing the package textacy.

    Raises UsageError if textacy is not installed.
    """
    if _TEXTACY not in sys.modules:
        package = ModuleType(_TEXTACY)
        package.__path__ = [str(_folder("textacy"))]
        sys.modules[_TEXTACY] = package
    return importlib.import_module(f"{_TEXTACY}.preprocess")


@cache
def _real_ktext() -> ModuleType:
    """Loads the module `preprocess` of the package ktext 0.40 from its file.

    If ktext imports a module that is listed in _STAND_INS, it gets the replacement from there.
    """
    path = _folder("ktext") / "preprocess.py"
    module = ModuleType("_ktext_preprocess")
    module.__file__ = str(path)
    module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _import_for_ktext}
    exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    return module


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)  # does not import the package
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(
            f"text.engine is `ktext`, but the package {package} is not installed.",
            "Install the packages of requirements.lock. Or set TITLER_TEXT__ENGINE=titler, which gives the "
            "same words faster.",
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _import_for_ktext(name: str, *scope: Any) -> Any:
    stand_in = _STAND_INS.get(name)
    return stand_in() if stand_in else builtins.__import__(name, *scope)


def _text_to_word_sequence(text: str) -> list[str]:
    """Splits a text as the function of the same name in Keras 2.2.4 does with its defaults.

    Letters become lower case. Most punctuation becomes blanks. Then the text is split at blanks.
    """
    blanks = str.maketrans(_FILTERS, " " * len(_FILTERS))
    return [word for word in text.lower().translate(blanks).split(" ") if word]


_STAND_INS: dict[str, Callable[[], Any]] = {
    "textacy.preprocess": textacy_preprocess,
    "keras.preprocessing.text": lambda: SimpleNamespace(
        text_to_word_sequence=_text_to_word_sequence, Tokenizer=object
    ),
    # ktext only imports these: Titler pads ids itself, and calls ktext in its own workers, without pools
    "keras.preprocessing.sequence": lambda: SimpleNamespace(pad_sequences=None),
    "pathos.multiprocessing": lambda: SimpleNamespace(Pool=None, cpu_count=os.cpu_count),
}
