"""The predictor as MLflow serves it: `mlflow.pyfunc.load_model("models:/titler@champion").predict(["a raw body"])`.

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
    """Raw bodies in; titles, confidences, abstentions and embeddings out."""

    def load_context(self, context: PythonModelContext) -> None:
        """Reads the predictor's files."""
        self._predictor = Predictor.load(Path(context.artifacts["predictor"]))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """A row a body: title, confidence, abstained and embedding (a list of hidden_size numbers).

        `model_input` has one column, the bodies; MLflow makes it of a list too. What is no text counts as no body.
        """
        bodies = model_input.iloc[:, 0]
        predictions = self._predictor.predict([body if isinstance(body, str) else None for body in bodies])
        return pd.DataFrame(
            {
                "title": [prediction.title for prediction in predictions],
                "confidence": [prediction.confidence for prediction in predictions],
                "abstained": [prediction.abstained for prediction in predictions],
                "embedding": [prediction.embedding.tolist() for prediction in predictions],
            }
        )


mlflow.models.set_model(TitlerModel())
