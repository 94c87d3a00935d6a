"""The pods and services of a cluster or of Compose, and where an address leads in them.

`problems` follows every address from the pod that asks to the program that listens: the name of a service,
its port, the port of the container, the port in the program's options, and the network policies. Airflow's
chart is not rendered: `airflow_pods` and `airflow_service` return the pods and the service that its version
1.22 makes from the values in infra/kubernetes/airflow.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

ADDRESS = re.compile(r"(?:(?:https?|tcp)://|@)(?P<host>[\w.-]+):(?P<port>\d+)")
LOOPBACK = {"127.0.0.1", "localhost"}
PORT_OPTIONS = ("--port", "--address", "--worker-port", "--nanny-port", "--dashboard-address")
PORT_VARIABLES = ("MLFLOW_PORT", "AIRFLOW__API__PORT")
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Pod:
    """One pod, or one container of Compose. `asks` are the addresses that it connects to, `listens` the ports
    at which its program listens, and `ports` the declared ports by name."""

    name: str
    labels: Labels
    asks: frozenset[tuple[str, int]]
    listens: frozenset[int]
    ports: Mapping[str, int] = field(default_factory=dict)


def addresses(texts: Iterable[str]) -> frozenset[tuple[str, int]]:
    """Returns the host and the port of each address in `texts`."""
    return frozenset(
        (match["host"], int(match["port"])) for text in texts for match in ADDRESS.finditer(text)
    )


def listening_ports(words: list[str], variables: Mapping[str, str]) -> frozenset[int]:
    """Returns the ports that options and variables tell a program to listen at. Port 0 is any free port."""
    values = [value for option, value in pairwise(words) if option in PORT_OPTIONS]
    values += [variables[name] for name in PORT_VARIABLES if name in variables]
    return frozenset(int(value.rpartition(":")[2]) for value in values) - {0}


def pods_of(documents: Iterable[Mapping[str, Any]]) -> list[Pod]:
    """Returns one pod per Deployment."""
    return [_pod(document) for document in documents if document["kind"] == "Deployment"]


def _pod(deployment: Mapping[str, Any]) -> Pod:
    template = deployment["spec"]["template"]
    (container,) = template["spec"]["containers"]
    variables = {variable["name"]: variable.get("value", "") for variable in container.get("env", [])}
    probes = [container[probe] for probe in container if probe.endswith("Probe")]
    commands = [word for probe in probes for word in probe.get("exec", {}).get("command", [])]
    return Pod(
        deployment["metadata"]["name"],
        template["metadata"]["labels"],
        addresses([*container["args"], *variables.values(), *commands]),
        listening_ports(container["args"], variables),
        {port["name"]: port["containerPort"] for port in container["ports"]},
    )


def airflow_pods(values: Mapping[str, Any]) -> list[Pod]:
    """Returns the pods of Airflow's components, and `airflow-worker`, the pod of each task. Only tasks
    connect to the servers in Titler's settings."""
    execution = values["config"]["core"]["execution_api_server_url"]
    settings = [variable["value"] for variable in values["env"]]
    port = values["ports"]["apiServer"]
    pods = [
        Pod("airflow-worker", airflow_labels("worker"), addresses([execution, *settings]), frozenset()),
        *(
            Pod(f"airflow-{component}", airflow_labels(component), addresses([execution]), frozenset())
            for component in ("scheduler", "dag-processor", "triggerer")
        ),
    ]
    listens = frozenset({int(values["config"]["api"]["port"])})
    server = Pod(
        "airflow-api-server", airflow_labels("api-server"), frozenset(), listens, {"api-server": port}
    )
    return [*pods, server]


def airflow_labels(component: str) -> Labels:
    return {"tier": "airflow", "component": component, "release": "airflow"}


def airflow_service(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the service of the API server. The chart gives its ports no target port."""
    return {
        "kind": "Service",
        "metadata": {"name": "airflow-api-server"},
        "spec": {
            "selector": airflow_labels("api-server"),
            "ports": values["apiServer"]["service"]["ports"],
        },
    }


def problems(pods: list[Pod], documents: Iterable[Mapping[str, Any]]) -> list[str]:
    """Returns what is wrong with the addresses of `pods`, one line each. `documents` are the manifests of the
    services and the network policies."""
    by_kind: dict[str, list[Mapping[str, Any]]] = {}
    for document in documents:
        by_kind.setdefault(document["kind"], []).append(document)
    services = {service["metadata"]["name"]: service["spec"] for service in by_kind.get("Service", [])}
    policies = [policy["spec"] for policy in by_kind.get("NetworkPolicy", [])]
    return [
        *(problem for pod in pods for problem in _undeclared(pod)),
        *(
            f"{pod.name} asks {host}:{port}: {problem}"
            for pod in pods
            for host, port in sorted(pod.asks)
            for problem in _follow(pod, host, port, pods, services, policies)
        ),
    ]


def _undeclared(pod: Pod) -> Iterator[str]:
    if set(pod.ports.values()) != pod.listens:
        yield (
            f"{pod.name} declares the ports {sorted(pod.ports.values())}, and its program listens at "
            f"{sorted(pod.listens)}"
        )


def _follow(
    pod: Pod,
    host: str,
    port: int,
    pods: list[Pod],
    services: Mapping[str, Mapping[str, Any]],
    policies: list[Mapping[str, Any]],
) -> Iterator[str]:
    if host in LOOPBACK:
        if port not in pod.listens:
            yield "the pod itself does not listen there"
        return
    if host not in services:
        yield "no service has this name"
        return
    entries = {entry["port"]: entry for entry in services[host]["ports"]}
    if port not in entries:
        yield f"the service has the ports {sorted(entries)}"
        return
    servers = [server for server in pods if _selects(services[host]["selector"], server.labels)]
    if not servers:
        yield "the service selects no pod"
    for server in servers:
        target = entries[port].get("targetPort", port)
        target = server.ports.get(target, target)
        if target not in server.listens:
            yield f"{server.name} does not listen at {target}"
        elif not is_allowed(policies, pod.labels, server.labels, target):
            yield f"no network policy lets it connect to {server.name} at {target}"


def is_allowed(policies: Iterable[Mapping[str, Any]], client: Labels, server: Labels, port: int) -> bool:
    """Returns whether a pod of the same namespace may connect to a pod. A pod that no policy selects accepts
    all connections; otherwise one of those that select it must allow the connection."""
    selecting = [
        policy for policy in policies if _selects(policy["podSelector"].get("matchLabels", {}), server)
    ]
    return not selecting or any(
        any(_selects(peer["podSelector"].get("matchLabels", {}), client) for peer in rule["from"])
        and ("ports" not in rule or port in {entry["port"] for entry in rule["ports"]})
        for policy in selecting
        for rule in policy.get("ingress", [])
    )


def _selects(selector: Labels, labels: Labels) -> bool:
    return selector.items() <= labels.items()
