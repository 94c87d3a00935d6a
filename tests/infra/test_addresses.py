"""Every address in infra/kubernetes and infra/compose.yaml leads to a program that listens there, and that
lets the asking pod connect."""

from __future__ import annotations

import re
from typing import Any

import yaml

from pipeline import settings
from tests.infra.lint import INFRA
from tests.infra.manifests import (
    Pod,
    addresses,
    airflow_labels,
    airflow_pods,
    airflow_service,
    is_allowed,
    listening_ports,
    pods_of,
    problems,
)

FOLDER = INFRA / "kubernetes"
AIRFLOW: dict[str, Any] = yaml.safe_load((FOLDER / "airflow.yaml").read_text())
DOCUMENTS: list[dict[str, Any]] = [
    document
    for name in ("titler", "mlflow", "dask", "serve")
    for document in yaml.safe_load_all((FOLDER / f"{name}.yaml").read_text())
]
PODS = [*pods_of(DOCUMENTS), *airflow_pods(AIRFLOW)]
CLUSTER = [*DOCUMENTS, airflow_service(AIRFLOW)]
BY_NAME = {pod.name: pod for pod in PODS}
POLICIES = [document["spec"] for document in DOCUMENTS if document["kind"] == "NetworkPolicy"]
README = (INFRA / "README.md").read_text()
PUBLIC_IMAGES = {"postgres": {5432}}
"""Ports at which the program of an image listens that no option names."""


def compose_pods() -> list[Pod]:
    """The containers of Compose. A name of a service leads to the container itself, at each of its ports."""
    pods = []
    for name, service in yaml.safe_load((INFRA / "compose.yaml").read_text())["services"].items():
        words, variables = service.get("command", []), service.get("environment", {})
        check = service.get("healthcheck", {}).get("test", [])
        listens = listening_ports(words, variables) | PUBLIC_IMAGES.get(name, set())
        asks = addresses([*words, *check, *variables.values()])
        pods.append(Pod(name, {"service": name}, asks, listens, {str(port): port for port in listens}))
    return pods


def compose_services(pods: list[Pod]) -> list[dict[str, Any]]:
    return [
        {
            "kind": "Service",
            "metadata": {"name": pod.name},
            "spec": {"selector": pod.labels, "ports": [{"port": port} for port in pod.listens]},
        }
        for pod in pods
    ]


def test_each_address_in_the_cluster_leads_to_a_program_that_listens():
    assert problems(PODS, CLUSTER) == []


def test_these_addresses_are_followed():
    assert {(pod.name, *address) for pod in PODS for address in pod.asks} == {
        ("airflow-worker", "mlflow", 5000),
        ("airflow-worker", "dask-scheduler", 8786),
        ("airflow-worker", "airflow-api-server", 8080),
        ("airflow-scheduler", "airflow-api-server", 8080),
        ("airflow-dag-processor", "airflow-api-server", 8080),
        ("airflow-triggerer", "airflow-api-server", 8080),
        ("dask-worker", "dask-scheduler", 8786),
        ("serve", "127.0.0.1", 8000),
    }


def test_a_service_at_another_port_than_the_one_that_is_asked_is_a_problem():
    # The service of the MLflow chart 1.6.0, with its default port.
    chart = {
        "kind": "Service",
        "metadata": {"name": "mlflow"},
        "spec": {"selector": {"app": "mlflow"}, "ports": [{"port": 80, "targetPort": 80}]},
    }
    others = [document for document in CLUSTER if document["metadata"]["name"] != "mlflow"]
    assert problems(PODS, [*others, chart]) == [
        "airflow-worker asks mlflow:5000: the service has the ports [80]"
    ]


def test_a_program_that_listens_elsewhere_is_a_problem():
    pod = Pod("mlflow", {"app": "mlflow"}, frozenset(), frozenset({5001}), {"http": 5000})
    others = [other for other in PODS if other.name != "mlflow"]
    assert problems([*others, pod], CLUSTER) == [
        "mlflow declares the ports [5000], and its program listens at [5001]",
        "airflow-worker asks mlflow:5000: mlflow does not listen at 5000",
    ]


def test_a_policy_for_another_label_is_a_problem():
    text = (FOLDER / "mlflow.yaml").read_text().replace("component: worker", "component: tasks")
    changed = [*yaml.safe_load_all(text), *(d for d in CLUSTER if d["metadata"]["name"] != "mlflow")]
    assert problems(PODS, changed) == [
        "airflow-worker asks mlflow:5000: no network policy lets it connect to mlflow at 5000"
    ]


def test_nobody_else_may_connect():
    for server, port in (("mlflow", 5000), ("dask-scheduler", 8786), ("serve", 8000), ("dask-worker", 8788)):
        for client in ({"app": "other"}, airflow_labels("triggerer"), {"app": "serve"}):
            assert not is_allowed(POLICIES, client, BY_NAME[server].labels, port), (client, server)


def test_dasks_pods_and_tasks_reach_the_workers_at_all_their_ports():
    for client in (BY_NAME["dask-scheduler"], BY_NAME["dask-worker"], BY_NAME["airflow-worker"]):
        for port in (8788, 8789):
            assert is_allowed(POLICIES, client.labels, BY_NAME["dask-worker"].labels, port)


def test_a_pod_with_the_label_of_clients_reaches_titler_serve():
    assert is_allowed(POLICIES, {"titler-serve-client": "allowed"}, BY_NAME["serve"].labels, 8000)


def test_probes_ask_ports_of_their_container():
    for document in DOCUMENTS:
        if document["kind"] == "Deployment":
            (container,) = document["spec"]["template"]["spec"]["containers"]
            asked = {
                container[key]["httpGet"]["port"] for key in container if "httpGet" in str(container[key])
            }
            assert asked
            assert asked <= {port["name"] for port in container["ports"]}, document["metadata"]["name"]


def test_mlflow_accepts_the_host_that_tasks_ask():
    (variables,) = [
        {
            variable["name"]: variable.get("value")
            for variable in document["spec"]["template"]["spec"]["containers"][0]["env"]
        }
        for document in DOCUMENTS
        if document["kind"] == "Deployment" and document["metadata"]["name"] == "mlflow"
    ]
    asked = settings.load(INFRA / "cloud.toml").tracking_uri.removeprefix("http://")
    assert asked in variables["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")


def test_no_service_makes_a_variable_that_titler_refuses():
    # For a service NAME, Kubernetes sets NAME_PORT in each task. `titler` refuses unknown TITLER_ variables.
    names = [document["metadata"]["name"] for document in CLUSTER if document["kind"] == "Service"]
    assert [name for name in names if name.startswith("titler")] == []


def test_what_the_readme_forwards_is_a_service():
    ports = {
        (document["metadata"]["name"], str(entry["port"]))
        for document in CLUSTER
        if document["kind"] == "Service"
        for entry in document["spec"]["ports"]
    }
    forwarded = re.findall(r"port-forward --namespace titler service/(\S+) (\d+)", README)
    assert len(forwarded) == 3
    assert set(forwarded) <= ports


def test_each_address_in_compose_leads_to_a_program_that_listens():
    pods = compose_pods()
    assert problems(pods, compose_services(pods)) == []
    assert {address for pod in pods for address in pod.asks if address[0] != "127.0.0.1"} == {
        ("minio", 9000),
        ("mlflow", 5000),
        ("postgres", 5432),
        ("dask-scheduler", 8786),
        ("dask-scheduler", 8787),
        ("airflow-api-server", 8080),
    }


def test_ports_that_compose_publishes_are_those_of_the_program():
    services = yaml.safe_load((INFRA / "compose.yaml").read_text())["services"]
    listens = {pod.name: pod.listens for pod in compose_pods()}
    published = {
        name: int(port.rpartition(":")[2])
        for name, service in services.items()
        for port in service.get("ports", [])
    }
    assert published == {"minio": 9000, "mlflow": 5000, "airflow-api-server": 8080}
    assert all(port in listens[name] for name, port in published.items())
