"""Reads the file predictor.json, which has the name and the settings of a predictor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import NonNegativeInt, PositiveInt

from pipeline.errors import LakeError, TitlerError
from pipeline.evaluation.title_calibration import Curve
from pipeline.lake.json_documents import ABSENT, Document, KnownKeys, object_with
from pipeline.networks.shape import REPLACE_OR_RETRAIN
from pipeline.text.engine import Engine, tokenizer


@dataclass(frozen=True)
class PredictorFile:
    """The content of the file predictor.json, which has the name and the settings of a predictor."""

    name: str
    engine: Engine
    abstain_below: float
    batch_size: int
    beam_width: int
    abstain_probability: float
    calibration: Curve | None

    @classmethod
    def read(cls, path: Path) -> PredictorFile:
        """Reads the file `path`. Raises LakeError if the file is missing or damaged, and UsageError if the
        predictor needs a text engine (code that splits texts into words) that is not installed."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise LakeError(
                f"The file {path} is missing or cannot be read: {error}.", REPLACE_OR_RETRAIN
            ) from None
        values = _DOCUMENT.parse(content, str(path.parent), path.name)
        tokenizer(values["engine"])
        curve = values.get("calibration")
        try:
            calibration = None if curve is None else Curve.from_json(curve)
        except TitlerError as error:
            raise LakeError(f"The file {path} is damaged: {error.message}", REPLACE_OR_RETRAIN) from None
        return cls(
            name=values["name"],
            engine=values["engine"],
            abstain_below=float(values["abstain_below"]),
            batch_size=values["batch_size"],
            beam_width=values.get("beam_width", 1),  # older files lack it: greedy decoding
            # Files of models without a calibration lack the next two fields.
            abstain_probability=float(values.get("abstain_probability", 0.0)),
            calibration=calibration,
        )


class _CurveKeys(KnownKeys):
    method: str
    slope: float
    intercept: float
    confidences: list[float]
    probabilities: list[float]


class _FileKeys(KnownKeys):
    """The keys of predictor.json. Older files lack the keys that have a default here."""

    name: str
    engine: Engine
    abstain_below: float
    batch_size: PositiveInt
    beam_width: NonNegativeInt = ABSENT
    abstain_probability: float = ABSENT
    calibration: _CurveKeys | None = None


_DOCUMENT: Document[dict[str, Any]] = Document(
    object_with(_FileKeys),
    "the settings of a predictor: an object with the keys name, engine, abstain_below and batch_size",
    lambda root, relative: REPLACE_OR_RETRAIN,
)
