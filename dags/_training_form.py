"""The form of titler_train's *Trigger* button. Its values become options of the command `titler vocab`."""

from __future__ import annotations

from airflow.sdk import Param


def _optional_day(description: str) -> Param:
    return Param(None, type=["null", "string"], format="date", description=description)


# A shell reads these values: a type, a pattern or a format must rule out every character that means something
# to it.
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
    "from": _optional_day("first day to train on; default: the first cleaned day"),
    "to": _optional_day("last day to train on; default: the last cleaned day"),
}
OPTIONS = "".join(
    f"{{% if params['{name}'] %}} --{name} {{{{ params['{name}'] }}}}{{% endif %}}"
    for name in ("from", "to", "variant", "epochs")
)
"""A Jinja template. It renders one option per field that was filled in, each with a blank in front."""
