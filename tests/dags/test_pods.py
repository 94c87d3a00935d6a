"""Where tasks run on KubernetesExecutor: what each asks of its pod, in the Kubernetes client's own models,
and what Airflow makes of it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest

from tests.support import executors
from tests.support.readme import fenced

DAGS = Path(__file__).resolve().parents[2] / "dags"
PAGE = DAGS.parent / "docs" / "airflow.md"

GPU_POOL = {
    "gpu_image": "registry.example.com/titler-gpu:1.0",
    "gpu_selector": "cloud.google.com/gke-accelerator=nvidia-l4",
}
EXTRACT: dict[str, Any] = {
    "spec": {
        "containers": [
            {
                "name": "base",
                "resources": {
                    "requests": {"cpu": "2", "memory": "1536Mi"},
                    "limits": {"cpu": "2", "memory": "1536Mi"},
                },
                "env": [{"name": "TITLER_COMPUTE__WORKERS", "value": "2"}],
            }
        ]
    }
}
TRAIN: dict[str, Any] = {
    "spec": {
        "containers": [
            {
                "name": "base",
                "image": "registry.example.com/titler-gpu:1.0",
                "resources": {
                    "requests": {"cpu": "2", "memory": "8Gi"},
                    "limits": {"cpu": "2", "memory": "8Gi", "nvidia.com/gpu": "1"},
                },
                "env": [{"name": "TITLER_COMPUTE__WORKERS", "value": "2"}],
            }
        ],
        "nodeSelector": {"cloud.google.com/gke-accelerator": "nvidia-l4"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    }
}

Configure = Callable[..., None]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Airflow's `[core] executor` and settings of [titler_pods], for one test."""

    def set_up(executor: str, **settings: str) -> None:
        monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
        for name, value in settings.items():
            monkeypatch.setenv(f"AIRFLOW__TITLER_PODS__{name.upper()}", value)
        executors.read_again(monkeypatch)

    return set_up


def executor_config(verb: str) -> dict[str, Any]:
    import _pod  # not above: conftest.py sets Airflow up first

    return _pod.executor_config(verb)


def sent(pod: Any) -> Any:
    """A V1Pod as the Kubernetes client sends it."""
    from kubernetes.client import ApiClient

    return ApiClient().sanitize_for_serialization(pod)


def asked(verb: str) -> Any:
    return sent(executor_config(verb)["pod_override"])


def dags_in_pods(configure: Configure, **settings: str) -> Any:
    from airflow.dag_processing.dagbag import BundleDagBag

    configure("KubernetesExecutor,LocalExecutor", **settings)
    return BundleDagBag(dag_folder=str(DAGS), bundle_path=DAGS, bundle_name="dags")


@pytest.mark.parametrize(
    "executor",
    [
        "LocalExecutor",
        "CeleryExecutor,LocalExecutor",
        "LocalExecutor,example.executors.NotAKubernetesExecutor",
        "LocalExecutor;red=KubernetesExecutor",  # teams are off, and Airflow leaves theirs out
    ],
)
def test_without_kubernetes_executor_a_task_asks_for_nothing(configure, executor):
    configure(executor)
    assert executor_config("train") == {}


@pytest.mark.parametrize(
    "executor",
    [
        "KubernetesExecutor",
        "KubernetesExecutor,LocalExecutor",
        "LocalExecutor, pods:KubernetesExecutor",
        "LocalExecutor,airflow.providers.cncf.kubernetes.executors.kubernetes_executor.KubernetesExecutor",
        "LocalExecutor,example.executors.KubernetesExecutor",
    ],
)
def test_with_kubernetes_executor_a_task_brings_its_pod(configure, executor):
    configure(executor)
    assert asked("extract") == EXTRACT


def test_so_it_does_where_kubernetes_executor_is_a_teams(configure, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    configure("LocalExecutor;red=KubernetesExecutor")
    assert asked("extract") == EXTRACT


def test_training_asks_for_a_gpu_on_a_node_of_its_pool(configure):
    configure("KubernetesExecutor", **GPU_POOL)
    assert asked("train") == TRAIN


def test_training_asks_for_a_gpu_wherever_there_is_one_when_nothing_is_set(configure):
    configure("KubernetesExecutor")
    spec = asked("train")["spec"]
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert ("image" in spec["containers"][0], "nodeSelector" in spec) == (False, False)


def test_training_without_a_gpu_is_a_task_like_others(configure):
    configure("KubernetesExecutor", gpus="0", image="titler:1", memory="train=3Gi", **GPU_POOL)
    limits = {"cpu": "2", "memory": "3Gi"}
    assert asked("train") == {
        "spec": {
            "containers": [
                {
                    **EXTRACT["spec"]["containers"][0],
                    "image": "titler:1",
                    "resources": {"requests": limits, "limits": limits},
                },
            ]
        }
    }


def test_the_pool_may_have_several_labels_and_taints(configure):
    configure(
        "KubernetesExecutor",
        gpu_selector="pool=gpu, example.com/card=h100",
        gpu_taints="nvidia.com/gpu, pool=gpu",
    )
    spec = asked("train")["spec"]
    assert spec["nodeSelector"] == {"pool": "gpu", "example.com/card": "h100"}
    assert spec["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists"},
        {"key": "pool", "operator": "Equal", "value": "gpu"},
    ]


def test_one_image_is_every_tasks_when_training_has_none_of_its_own(configure):
    configure("KubernetesExecutor", image="titler:1")
    assert [asked(verb)["spec"]["containers"][0]["image"] for verb in ("ready", "train")] == [
        "titler:1",
        "titler:1",
    ]


def test_a_cluster_gives_a_verb_other_memory(configure):
    configure("KubernetesExecutor", memory="index=16Gi, extract=2048Mi")
    memory = [
        asked(verb)["spec"]["containers"][0]["resources"]["limits"]["memory"]
        for verb in ("index", "extract", "publish")
    ]
    assert memory == ["16Gi", "2048Mi", "3Gi"]


def test_every_task_has_the_memory_of_its_verb(configure):
    bag = dags_in_pods(configure)
    assert bag.import_errors == {}
    memory = {
        dag_id: [
            sent(task.executor_config["pod_override"])["spec"]["containers"][0]["resources"]["requests"][
                "memory"
            ]
            for task in dag.topological_sort()
        ]
        for dag_id, dag in bag.dags.items()
    }
    assert memory == {
        "titler_ingest": ["1Gi", "1536Mi", "1Gi"],
        "titler_train": ["1Gi", "1Gi", "8Gi", "4Gi", "3Gi", "4Gi"],
        "titler_refresh": ["3Gi", "1Gi", "4Gi", "6Gi", "3Gi", "3Gi", "3Gi"],
    }


def test_only_training_asks_for_a_gpu(configure):
    tasks = [task for dag in dags_in_pods(configure).dags.values() for task in dag.tasks]
    with_gpu = [
        task.task_id
        for task in tasks
        if "nvidia.com/gpu" in json.dumps(sent(task.executor_config["pod_override"]))
    ]
    assert with_gpu == ["train"]


def test_a_pod_survives_airflows_serialised_dag(configure):
    from airflow.serialization.serialized_objects import DagSerialization

    dag = dags_in_pods(configure, **GPU_POOL).dags["titler_train"]
    read = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    assert sent(read.get_task("train").executor_config["pod_override"]) == TRAIN


def test_a_pod_survives_airflows_database(configure):
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import Column, MetaData, Table, create_engine, insert, select

    configure("KubernetesExecutor", **GPU_POOL)
    rows = Table("rows", MetaData(), Column("executor_config", TaskInstance.__table__.c.executor_config.type))
    with create_engine("sqlite://").begin() as database:
        rows.create(database)
        database.execute(insert(rows).values(executor_config=executor_config("train")))
        assert sent(database.execute(select(rows)).scalar_one()["pod_override"]) == TRAIN


def test_a_pod_that_airflow_makes_of_its_template_keeps_what_is_not_asked_for(configure):
    from airflow.providers.cncf.kubernetes import pod_template_file_examples
    from airflow.providers.cncf.kubernetes.kube_config import KubeConfig
    from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator

    configure("KubernetesExecutor", **GPU_POOL)
    template = PodGenerator.deserialize_model_file(
        f"{pod_template_file_examples.__path__[0]}/dags_in_image_template.yaml"
    )

    def made(verb: str) -> Any:
        pod = PodGenerator.construct_pod(
            dag_id="titler_train", task_id=verb, run_id="r", try_number=1, pod_id=verb, date=None,
            namespace="airflow", scheduler_job_id="1", kube_image=KubeConfig().kube_image,
            args=["python", "-m", "airflow"],
            pod_override_object=PodGenerator.from_obj(executor_config(verb)), base_worker_pod=template,
        )  # fmt: skip
        return sent(pod)["spec"]

    vocab, train = made("vocab"), made("train")
    assert [len(vocab["containers"]), vocab["containers"][0]["image"], train["containers"][0]["image"]] == [
        1,
        "dummy_image",
        "registry.example.com/titler-gpu:1.0",
    ]
    assert train["containers"][0]["args"] == ["python", "-m", "airflow"]
    assert train["containers"][0]["resources"] == TRAIN["spec"]["containers"][0]["resources"]
    assert train["nodeSelector"] == {"cloud.google.com/gke-accelerator": "nvidia-l4"}
    assert train["serviceAccountName"] == "RELEASE-NAME-worker-serviceaccount"
    assert [mount["name"] for mount in train["containers"][0]["volumeMounts"]] == [
        "airflow-logs",
        "airflow-config",
    ]
    names = [variable["name"] for variable in train["containers"][0]["env"]]
    assert (names[0], names[-1]) == (
        "AIRFLOW__CORE__EXECUTOR",
        "TITLER_COMPUTE__WORKERS",
    )  # Kubernetes takes the last of two


def test_titler_understands_what_a_pod_sets(configure, monkeypatch):
    from pipeline.settings import load

    configure("KubernetesExecutor")
    (variable,) = asked("extract")["spec"]["containers"][0]["env"]
    monkeypatch.setenv(variable["name"], variable["value"])
    assert load().compute.workers == 2


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("image", "titler latest", "expected an image, like"),
        ("gpus", "2", "expected 1, or 0 to train on the CPU"),
        ("gpu_selector", "nvidia-l4", "expected node labels, like"),
        ("gpu_selector", "a=b=c", "expected node labels, like"),
        ("gpu_taints", "nvidia.com/gpu:NoSchedule", "expected node taints without their effect, like"),
        ("memory", "3Gi", "expected COMMAND=MEMORY pairs, like index=16Gi"),
        ("memory", "trian=3Gi", "expected COMMAND=MEMORY pairs, like index=16Gi"),
        ("memory", "train=3G", "expected COMMAND=MEMORY pairs, like index=16Gi"),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_expected(configure, name, value, expected):
    from airflow.exceptions import AirflowConfigException

    configure("KubernetesExecutor", **{name: value})
    with pytest.raises(AirflowConfigException) as raised:
        executor_config("train")
    assert str(raised.value).startswith(f"[titler_pods] {name} = {value}: {expected}")
    assert f"or the environment variable AIRFLOW__TITLER_PODS__{name.upper()}." in str(raised.value)


def test_an_unknown_setting_is_an_import_error_of_each_dag(configure):
    errors = dags_in_pods(configure, gpu_label="pool=gpu").import_errors
    assert sorted(errors) == ["titler_ingest.py", "titler_refresh.py", "titler_train.py"]
    assert (
        "[titler_pods] gpu_label: no such setting, expected one of image, gpu_image, gpus,"
        in errors["titler_ingest.py"]
    )


def test_settings_stand_in_airflows_own_file_too(configure):
    from airflow.configuration import conf

    configure("KubernetesExecutor")
    conf.add_section("titler_pods")
    try:
        conf.set("titler_pods", "image", "titler:1")
        assert asked("extract")["spec"]["containers"][0]["image"] == "titler:1"
    finally:
        conf.remove_section("titler_pods")


def test_a_missing_package_is_told_with_what_to_install(configure, monkeypatch):
    from airflow.exceptions import AirflowConfigException

    configure("KubernetesExecutor")
    monkeypatch.setitem(sys.modules, "kubernetes", None)  # as Python says that there is none
    with pytest.raises(AirflowConfigException, match=r"Install titler\[kubernetes\]"):
        executor_config("extract")


def test_the_page_has_every_setting_with_its_default():
    import _pod

    table = PAGE.read_text(encoding="utf-8").partition("| setting |")[2]
    assert re.findall(r"(?m)^\| `(\w+)` \| (?:`([^`]*)` )?\|", table) == [
        (name, setting.default) for name, setting in _pod.SETTINGS.items()
    ]


def test_the_configuration_that_the_page_shows_is_one_of_airflows(configure):
    from airflow.configuration import conf

    shown = ConfigParser()
    shown.read_string(fenced(PAGE.read_text(encoding="utf-8"), "ini")[0])
    configure(shown["core"]["executor"], **shown["titler_pods"])
    assert asked("train") == TRAIN
    options = [
        (section, option)
        for section in shown.sections()
        if section != "titler_pods"
        for option in shown[section]
    ]
    assert [option for option in options if not conf.get_default_value(*option)] == []
