"""Describes the Kubernetes pod of a task under KubernetesExecutor: its image, cores, memory and GPU.

Settings that differ between clusters are in the section [titler_pods] of Airflow's own configuration
(docs/airflow.md). They cannot be TITLER_ environment variables: tasks inherit such variables, and `titler`
refuses every TITLER_ variable that is not one of its own settings.
"""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple

from airflow.configuration import conf
from airflow.exceptions import AirflowConfigException
from airflow.executors.executor_loader import ExecutorLoader

CORES = "2"  # the memory figures below were measured on two cores

# Memory of the pod of each `titler` command, with headroom and Airflow's own 170 MiB. The comments give the
# peak in MiB. It was measured on a year of 22,841 issues with the network `gru`, and on two days of 11,000
# issues with the network `copy`; the larger value is given (docs/costs.md).
MEMORY = {
    "ready": "1Gi",
    "extract": "1536Mi",  # 937 for a day of 10,000 issues, plus 287 per Dask worker
    "clean": "1Gi",  # 403
    "vocab": "1Gi",  # 442, plus 98 for MLflow's client
    "vectorize": "1Gi",  # 442
    "train": "8Gi",  # 2410 on the CPU; CUDA's libraries need more, not measured
    "evaluate": "4Gi",  # 2363
    "promote": "3Gi",  # not measured; it loads what `evaluate` loads
    "learn-ordering": "4Gi",  # not measured; the examples take up to 1 GiB
    "plan": "3Gi",  # 1397
    "embed": "4Gi",  # 1436 per Dask worker, with TensorFlow; a pod without a scheduler has two workers
    "predict": "6Gi",  # 2184, in the same way
    "index": "3Gi",  # 1515; grows with the issues of a month, and of a year in the first night of the next
    "publish": "3Gi",  # 1435
    "collect": "3Gi",  # 1371
}


class Setting(NamedTuple):
    """A setting in the section [titler_pods] of Airflow's configuration.

    It has a default, a regular expression that its value must match, and a description of the valid values.
    """

    default: str
    pattern: str
    expected: str


def comma_separated(item_pattern: str) -> str:
    """Returns a regular expression for a comma-separated list whose items match `item_pattern`."""
    return rf"{item_pattern}(\s*,\s*{item_pattern})*"


NAME = r"[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?"
LABEL = rf"({NAME}/)?{NAME}"
IMAGE = r"[\w.:/@-]+"
SECTION = "titler_pods"
SETTINGS = {
    "image": Setting("", IMAGE, "an image, like registry.example.com/titler:1.0"),
    "gpu_image": Setting("", IMAGE, "an image, like registry.example.com/titler-gpu:1.0"),
    "gpus": Setting("1", "[01]", "1, or 0 to train on the CPU; a network trains on one GPU"),
    "gpu_selector": Setting(
        "",
        comma_separated(f"{LABEL}={NAME}"),
        "node labels, like cloud.google.com/gke-accelerator=nvidia-l4",
    ),
    "gpu_taints": Setting(
        "nvidia.com/gpu",
        comma_separated(f"{LABEL}(={NAME})?"),
        "node taints without their effect, like nvidia.com/gpu,pool=gpu",
    ),
    "memory": Setting(
        "",
        comma_separated(rf"({'|'.join(MEMORY)})=[1-9]\d*[MG]i"),
        f"COMMAND=MEMORY pairs, like index=16Gi,train=12Gi; commands: {' '.join(MEMORY)}",
    ),
}


def executor_config(verb: str) -> dict[str, Any]:
    """Returns the `executor_config` of the task that runs `titler VERB`.

    If Airflow has a KubernetesExecutor, the result has the key `pod_override`, which describes the task's
    pod. Otherwise it is empty.

    Raises AirflowConfigException if a setting of [titler_pods] is unknown or invalid. Airflow shows this
    error as an import error of the DAG.
    """
    # validate_teams=False: teams are rows of Airflow's database, which a DAG file does not read.
    executors = ExecutorLoader.get_executor_names(validate_teams=False)
    if not any(executor.module_path.endswith(".KubernetesExecutor") for executor in executors):
        return {}
    return {"pod_override": _pod_override(verb, _read_settings())}


def _pod_override(verb: str, settings: dict[str, str]) -> Any:
    """Returns a kubernetes.client.V1Pod that has only the fields that differ from Airflow's pod template.

    All other fields are None, so the template's values are used. For example, if `settings` has no image, the
    pod has the template's image.
    """
    try:
        from kubernetes import client
    except ImportError:
        raise AirflowConfigException(
            "The setting [core] executor contains KubernetesExecutor, but the Python package kubernetes "
            "is not installed.\n"
            "Install titler[kubernetes] in the image of every component of Airflow."
        ) from None

    gpu = verb == "train" and settings["gpus"] == "1"
    resources = {"cpu": CORES, "memory": {**MEMORY, **_parse_pairs(settings["memory"])}[verb]}
    container = client.V1Container(
        name="base",  # Airflow's name for the container that runs the task
        image=(gpu and settings["gpu_image"]) or settings["image"] or None,
        resources=client.V1ResourceRequirements(
            requests=resources, limits={**resources, "nvidia.com/gpu": "1"} if gpu else resources
        ),
        # Without this variable Dask would start one worker per core of the node.
        env=[client.V1EnvVar(name="TITLER_COMPUTE__WORKERS", value=CORES)],
    )
    spec = client.V1PodSpec(containers=[container])
    if gpu:
        spec.node_selector = _parse_pairs(settings["gpu_selector"]) or None
        spec.tolerations = [
            client.V1Toleration(key=key, operator="Equal", value=value)
            if value
            else client.V1Toleration(key=key, operator="Exists")
            for key, value in _parse_pairs(settings["gpu_taints"]).items()
        ]
    return client.V1Pod(spec=spec)


def _read_settings() -> dict[str, str]:
    prefix = _variable_name("")
    in_environment = {name.removeprefix(prefix).lower() for name in os.environ if name.startswith(prefix)}
    in_file = set(conf.getsection(SECTION) or {})
    if unknown := sorted((in_environment | in_file) - set(SETTINGS)):
        raise AirflowConfigException(
            f"[{SECTION}] {unknown[0]}: no such setting, expected one of {', '.join(SETTINGS)}.\n"
            "Rename or remove the entry in airflow.cfg, or the environment variable "
            f"{_variable_name(unknown[0])}. docs/airflow.md describes the settings."
        )
    values = {
        name: conf.get(SECTION, name, fallback="").strip() or setting.default
        for name, setting in SETTINGS.items()
    }
    for name, value in values.items():
        if value and not re.fullmatch(SETTINGS[name].pattern, value, re.ASCII):
            raise AirflowConfigException(
                f"[{SECTION}] {name} = {value}: expected {SETTINGS[name].expected}.\n"
                "Correct or remove the entry in airflow.cfg, or the environment variable "
                f"{_variable_name(name)}. docs/airflow.md describes the settings."
            )
    return values


def _variable_name(setting: str) -> str:
    return f"AIRFLOW__{SECTION}__{setting}".upper()


def _parse_pairs(text: str) -> dict[str, str]:
    """Parses `a=b, c` into {"a": "b", "c": ""}."""
    return {
        key.strip(): value.strip()
        for key, _, value in (item.partition("=") for item in text.split(",") if item)
    }
