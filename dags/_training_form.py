"""The form that Airflow shows when a user triggers the DAG titler_train by hand.

The values of the form become options of the command `titler vocab`.
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
        pattern=r"^[a-z0-9_]+$(?!\n)",
        description="network variant; default: the setting model.variant",
    ),
    "epochs": Param(
        None,
        type=["null", "integer"],
        minimum=1,
        description="maximum number of epochs; default: the setting model.epochs",
    ),
    "embedding": Param(
        None,
        type=["null", "string"],
        enum=[None, "champion", "new"],
        description="champion: take its embedding network, if it is of the same kind; new: train one; "
        "default: the setting model.embedding",
    ),
    "from": _optional_day("first day to train on; default: the first cleaned day"),
    "to": _optional_day("last day to train on; default: the last cleaned day"),
}
OPTIONS = "".join(
    f"{{% if params['{name}'] %}} --{name} {{{{ params['{name}'] }}}}{{% endif %}}"
    for name in ("from", "to", "variant", "epochs", "embedding")
)
"""A Jinja template that writes ` --NAME VALUE` for each field of the form that was filled in."""
