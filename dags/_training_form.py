"""The form that Airflow shows when a user starts the DAG titler_train by hand.

The values of the form become options of the command `titler vocab`, which creates the model to train.
"""

from __future__ import annotations

from airflow.sdk import Param


def _optional_day(description: str) -> Param:
    return Param(None, type=["null", "string"], format="date", description=description)


# These values become part of a shell command. So a type, a pattern or a format must exclude every character
# that has a special meaning in a shell.
PARAMS = {
    "variant": Param(
        None,
        type=["null", "string"],
        enum=[None, "gru", "gru_cudnn", "copy", "pretrained"],
        description="Name of the network. The default is the setting model.variant.",
    ),
    "epochs": Param(
        None,
        type=["null", "integer"],
        minimum=1,
        description="Maximum number of training epochs. The default is the setting model.epochs.",
    ),
    "embedding": Param(
        None,
        type=["null", "string"],
        enum=[None, "champion", "new"],
        description="Where the model's embedding network comes from. "
        'With "new", a new network is trained. With "champion", the new model takes the network of the '
        "champion (the model in use). If there is no champion, or if the champion has a different "
        "embedding size or hidden size, or different text settings, a new network is trained instead. "
        "The default is the setting model.embedding.",
    ),
    "from": _optional_day("First day to train on. The default is the first cleaned day."),
    "to": _optional_day("Last day to train on. The default is the last cleaned day."),
}
OPTIONS = "".join(
    f"{{% if params['{name}'] %}} --{name} {{{{ params['{name}'] }}}}{{% endif %}}"
    for name in ("from", "to", "variant", "epochs", "embedding")
)
"""A Jinja template that writes ` --NAME VALUE` for each field of the form that was filled in."""
