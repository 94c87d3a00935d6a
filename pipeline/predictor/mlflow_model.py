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
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from pipeline.predictor.loading import load_faster

COLUMN = "body"
NO_NAME = 0
"""The name that pandas gives to the only column of a list."""


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

        An embedding is a list of hidden_size numbers. The first column of `model_input` has the bodies, and
        its name must be `body`. MLflow also accepts a list of bodies. Null stands for a missing body, for
        which the model abstains. Raises MlflowException if the column has another name, or if a value is
        neither text nor null.
        """
        predictions = self._predictor.predict(bodies_of(model_input))
        columns = ("title", "confidence", "abstained")
        return pd.DataFrame(
            {
                **{name: [getattr(prediction, name) for prediction in predictions] for name in columns},
                "embedding": [prediction.embedding.tolist() for prediction in predictions],
            }
        )


def bodies_of(model_input: pd.DataFrame) -> list[str | None]:
    """Returns the bodies in a request, which MLflow has converted to a table. None stands for a missing body.

    A request has a list of bodies or a table. The model's signature has only one column, without a name. So
    MLflow passes on only the first column of a table, and does not check the column's name. Raises
    MlflowException if a table's column is not named `body`, or if a value is neither text nor null. MLflow's
    server then responds with the status 400.
    """
    columns = [name for name in model_input.columns if name in (COLUMN, NO_NAME)]
    if not columns:
        names = ", ".join(map(str, model_input.columns)) or "none"
        raise MlflowException.invalid_parameter_value(
            f"The first column is {names}; expected a table whose first column is {COLUMN}, or a list of "
            "bodies."
        )
    return [_body(value, row) for row, value in enumerate(model_input[columns[0]])]


def _body(value: Any, row: int) -> str | None:
    if isinstance(value, str):
        return value
    # pandas has None, NaN or NA for a missing value. A list or a dict is not a missing value.
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return None
    raise MlflowException.invalid_parameter_value(
        f"The body in row {row} is of the type {type(value).__name__}; expected text, or null for a missing "
        "body."
    )


mlflow.models.set_model(TitlerModel())
