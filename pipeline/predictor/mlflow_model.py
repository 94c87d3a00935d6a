"""The predictor as an MLflow model: `mlflow.pyfunc.load_model("models:/titler@champion").predict(["a raw
body"])`.

MLflow stores this file beside the model's files and runs it when the model is loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from pipeline.predictor.predictor import Predictor


class TitlerModel(PythonModel):
    """Takes raw bodies; returns titles, confidences, abstentions and embeddings."""

    def load_context(self, context: PythonModelContext) -> None:
        """Loads the predictor from its files."""
        self._predictor = Predictor.load(Path(context.artifacts["predictor"]))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """One row per body: title, confidence, abstained and embedding (a list of hidden_size numbers).

        `model_input` has one column, the bodies; MLflow also accepts a list. A value that is not text counts
        as a missing body.
        """
        bodies = model_input.iloc[:, 0]
        predictions = self._predictor.predict([body if isinstance(body, str) else None for body in bodies])
        columns = ("title", "confidence", "abstained")
        return pd.DataFrame(
            {
                **{name: [getattr(prediction, name) for prediction in predictions] for name in columns},
                "embedding": [prediction.embedding.tolist() for prediction in predictions],
            }
        )


mlflow.models.set_model(TitlerModel())
