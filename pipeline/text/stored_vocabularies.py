"""Loads a model's vocabularies from a batch of the lake."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.text.vocabulary import Vocabularies


def load_vocabularies(lake: Lake, manifest: Manifest) -> Vocabularies:
    """Loads the two vocabularies of a model from the lake.

    `manifest` describes the batch (set of files) to read. The batch has either the vocabularies alone, or a
    predictor, which includes its vocabularies.
    """
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        for file in manifest.files:
            if file.name.endswith("_vocabulary.json"):
                (Path(folder) / file.name).write_bytes(lake.read_file(manifest, file))
        return Vocabularies.load(Path(folder))
