"""Makes the predictor an MLflow model.

For example, `mlflow.pyfunc.load_model("models:/titler@champion").predict(["the body of an issue"])` returns a
table with one predicted title. MLflow stores this file with the files of the model and runs it when the model
is loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from pipeline.predictor.loading import load_faster


class TitlerModel(PythonModel):
    """An MLflow model that predicts titles and embeddings. Bodies are given as their authors wrote them."""

    def load_context(self, context: PythonModelContext) -> None:
        """Loads the predictor from the artifact `predictor`: in NumPy or in Keras, whichever is faster.

        Raises LakeError if a file is missing or damaged.
        """
        self._predictor = load_faster(Path(context.artifacts["predictor"]))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Returns a table with one row per body, and the columns title, confidence, abstained and embedding.

        An embedding is a list of hidden_size numbers. The first column of `model_input` has the bodies.
        MLflow also accepts a list of bodies. A value that is not text counts as a missing body.
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
