"""The Python packages that a registered model requires."""

from __future__ import annotations

import importlib.metadata

from pipeline.networks.variants import VARIANTS

BACKENDS = ("tensorflow-cpu", "tensorflow", "jax", "torch")
REQUIREMENTS = (
    "mlflow",
    "numpy",
    "pandas",
    "tokenizers",
    "keras",
    *BACKENDS,
    "ftfy",
    "unidecode",
    "more-itertools",
)
"""The packages that the registered model requires, if they are installed. Titler's code is stored with the
model.

`ftfy`, `unidecode` and `more-itertools` are for text.engine = ktext. The packages ktext and textacy are left
out, because pip cannot install them with the others: ktext 0.40 pins keras 2.2.4, and textacy 0.6.2 pins ftfy
below 5 and numpy below 2. Titler's lock file overrides those pins. So a model with the engine ktext loads
only where Titler's lock file is installed.
"""

PRESET_REQUIREMENTS = ("keras-hub", "safetensors", "huggingface-hub")
"""The packages that a model with a preset requires as well."""


def requirements(variant: str) -> list[str]:
    """Returns "NAME==VERSION" for each installed package that a model of this variant requires."""
    requirements = []
    reads_texts = variant in VARIANTS and VARIANTS[variant].reads_texts
    for name in (*REQUIREMENTS, *(PRESET_REQUIREMENTS if reads_texts else ())):
        try:
            requirements.append(f"{name}=={importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return requirements
