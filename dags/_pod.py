"""Where a task runs on KubernetesExecutor: in a pod of its own, with the image, the cores, the memory and the GPU that are given here.

What differs from cluster to cluster stands in Airflow's own configuration, in a section [titler_pods] (docs/airflow.md), and not in the
environment under TITLER_: that reaches the tasks, too, and `titler` refuses what is none of its settings.
"""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple

from airflow.configuration import conf
from airflow.exceptions import AirflowConfigException
from airflow.executors.executor_loader import ExecutorLoader

CORES = "2"  # what the figures below were measured on

# What the pod of a verb gets, with room and with Airflow's own 170 MiB, and its peak in MiB: over a year of 22,841 issues with the network
# gru or, where that was more, over two days of 11,000 with copy (docs/costs.md).
MEMORY = {
    "ready": "1Gi",
    "extract": "1536Mi",  # 937 for a day of 10,000 issues, and 287 a Dask worker
    "clean": "1Gi",  # 403
    "vocab": "1Gi",  # 442
    "vectorize": "1Gi",  # 442
    "train": "8Gi",  # 2410 on the CPU; CUDA's libraries come on top, not measured
    "evaluate": "4Gi",  # 2363
    "promote": "3Gi",  # not measured; it loads what `evaluate` does
    "plan": "3Gi",  # 1397
    "embed": "3Gi",  # 1436
    "predict": "4Gi",  # 2184
    "index": "3Gi",  # 1515, and it grows with the issues of all days
    "publish": "3Gi",  # 1435
    "collect": "3Gi",  # 1371
}


class Setting(NamedTuple):
    """A setting of [titler_pods]: what it is where nobody set it, the form of a value, and that form in words."""

    default: str
    form: str
    expected: str


def some(item: str) -> str:
    """The form of a list with commas."""
    return rf"{item}(\s*,\s*{item})*"


NAME = r"[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?"
LABEL = rf"({NAME}/)?{NAME}"
IMAGE = r"[\w.:/@-]+"
SECTION = "titler_pods"
SETTINGS = {
    "image": Setting("", IMAGE, "an image, like registry.example.com/titler:1.0"),
    "gpu_image": Setting("", IMAGE, "an image, like registry.example.com/titler-gpu:1.0"),
    "gpus": Setting("1", "[01]", "1, or 0 to train on the CPU: the network trains on one"),
    "gpu_selector": Setting(
        "", some(f"{LABEL}={NAME}"), "labels of nodes, like cloud.google.com/gke-accelerator=nvidia-l4"
    ),
    "gpu_taints": Setting(
        "nvidia.com/gpu",
        some(f"{LABEL}(={NAME})?"),
        "taints of nodes without their effect, like nvidia.com/gpu,pool=gpu",
    ),
    "memory": Setting(
        "",
        some(rf"({'|'.join(MEMORY)})=[1-9]\d*[MG]i"),
        f"a verb's, like index=16Gi,train=12Gi; verbs: {' '.join(MEMORY)}",
    ),
}


def executor_config(verb: str) -> dict[str, Any]:
    """What the task of a verb tells its executor: `pod_override` where KubernetesExecutor is one of Airflow's, nothing elsewhere.

    Raises AirflowConfigException, which Airflow shows as the DAG's import error, for a setting of [titler_pods] that is unknown or wrong.
    """
    executors = ExecutorLoader.get_executor_names(
        validate_teams=False
    )  # teams are rows of a database, which a DAG file does not read
    if not any(executor.module_path.endswith(".KubernetesExecutor") for executor in executors):
        return {}
    return {"pod_override": _pod(verb, _settings())}


def _pod(verb: str, settings: dict[str, str]) -> Any:
    """A kubernetes.client.V1Pod of what differs from Airflow's pod template: no image, for one, is the template's."""
    try:
        from kubernetes import client
    except ImportError:
        raise AirflowConfigException(
            "[core] executor names KubernetesExecutor, which needs the package kubernetes, and it is not installed here.\n"
            "Install titler[kubernetes] in the image of every component of Airflow."
        ) from None

    gpu = verb == "train" and settings["gpus"] == "1"
    resources = {"cpu": CORES, "memory": {**MEMORY, **_pairs(settings["memory"])}[verb]}
    container = client.V1Container(
        name="base",  # as Airflow calls the container of the task
        image=(gpu and settings["gpu_image"]) or settings["image"] or None,
        resources=client.V1ResourceRequirements(
            requests=resources, limits={**resources, "nvidia.com/gpu": "1"} if gpu else resources
        ),
        env=[
            client.V1EnvVar(name="TITLER_COMPUTE__WORKERS", value=CORES)
        ],  # Dask would start one for each core of the node
    )
    spec = client.V1PodSpec(containers=[container])
    if gpu:
        spec.node_selector = _pairs(settings["gpu_selector"]) or None
        spec.tolerations = [
            client.V1Toleration(key=key, operator="Equal", value=value)
            if value
            else client.V1Toleration(key=key, operator="Exists")
            for key, value in _pairs(settings["gpu_taints"]).items()
        ]
    return client.V1Pod(spec=spec)


def _settings() -> dict[str, str]:
    prefix = _variable("")
    named = {name.removeprefix(prefix).lower() for name in os.environ if name.startswith(prefix)}
    if unknown := sorted((named | set(conf.getsection(SECTION) or {})) - set(SETTINGS)):
        raise AirflowConfigException(
            f"[{SECTION}] {unknown[0]}: no such setting, expected one of {', '.join(SETTINGS)}.\n"
            f"Rename or remove it, in airflow.cfg or {_variable(unknown[0])}: see docs/airflow.md."
        )
    found = {
        name: conf.get(SECTION, name, fallback="").strip() or setting.default
        for name, setting in SETTINGS.items()
    }
    for name, value in found.items():
        if value and not re.fullmatch(SETTINGS[name].form, value, re.ASCII):
            raise AirflowConfigException(
                f"[{SECTION}] {name} = {value}: expected {SETTINGS[name].expected}.\n"
                f"Correct or remove it, in airflow.cfg or {_variable(name)}: see docs/airflow.md."
            )
    return found


def _variable(name: str) -> str:
    return f"AIRFLOW__{SECTION}__{name}".upper()


def _pairs(text: str) -> dict[str, str]:
    """`a=b, c` as {"a": "b", "c": ""}."""
    return {
        key.strip(): value.strip()
        for key, _, value in (item.partition("=") for item in text.split(",") if item)
    }
