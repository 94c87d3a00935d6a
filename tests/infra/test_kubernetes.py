"""infra/kubernetes: values name what there is; the environment of tasks is infra/cloud.toml's; manifests
are Kubernetes's."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.configuration import conf

import _pod
from pipeline import settings
from tests.infra.lint import INFRA, ROOT, program, run
from tests.support import executors

FOLDER = INFRA / "kubernetes"
AIRFLOW: dict[str, Any] = yaml.safe_load((FOLDER / "airflow.yaml").read_text())
MANIFEST_FILES = [FOLDER / f"{name}.yaml" for name in ("titler", "mlflow", "dask", "serve")]
MANIFESTS: list[dict[str, Any]] = [
    document for path in MANIFEST_FILES for document in yaml.safe_load_all(path.read_text())
]
DEPLOYMENTS = {
    document["metadata"]["name"]: document["spec"]["template"]["spec"]
    for document in MANIFESTS
    if document["kind"] == "Deployment"
}
CONTAINERS = {
    f"{name}/{container['name']}": container
    for name, pod in DEPLOYMENTS.items()
    for container in [*pod.get("initContainers", []), *pod["containers"]]
}
TERRAFORM = "\n".join(path.read_text() for path in (INFRA / "terraform").glob("*.tf"))
README = (INFRA / "README.md").read_text()
LOCK = (ROOT / "requirements.lock").read_text()
# Of the chart's values those that are set here, from its values.yaml, 1.22: its schema refuses a key that it
# does not know.
CHART = {
    *(
        "airflowVersion",
        "executor",
        "images",
        "fernetKeySecretName",
        "apiSecretKeySecretName",
        "jwtSecretName",
        "data",
        "postgresql",
        "redis",
        "ports",
    ),
    *(
        "statsd",
        "createUserJob",
        "securityContexts",
        "networkPolicies",
        "rbac",
        "env",
        "config",
        "dags",
        "scheduler",
        "apiServer",
    ),
    *("dagProcessor", "triggerer", "migrateDatabaseJob", "workers"),
}
COMPONENTS = ("scheduler", "apiServer", "dagProcessor", "triggerer")


def test_the_values_are_those_that_the_chart_knows():
    assert set(AIRFLOW) == CHART


def test_the_environment_of_tasks_is_cloud_toml(monkeypatch):
    cloud = settings.load(INFRA / "cloud.toml")
    for variable in AIRFLOW["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    assert settings.load().model_dump() == cloud.model_dump()


def test_a_tag_that_moves_is_pulled_by_nobody_and_the_readme_gives_the_real_one():
    images = {
        "images.airflow.tag": AIRFLOW["images"]["airflow"]["tag"],
        "config.titler_pods.gpu_image": AIRFLOW["config"]["titler_pods"]["gpu_image"].rpartition(":")[2],
    }
    assert set(images.values()) == {"revision"}
    given = dict(re.findall(r'--set-string ([\w.]+)="([^"]+)"', README))
    assert given == {
        "images.airflow.tag": "$REV",
        "config.titler_pods.gpu_image": "$IMAGES/titler-gpu:$REV",
    }


def test_the_readmes_sed_gives_each_container_the_real_tag():
    (expression,) = set(re.findall(r'sed "(s/:revision\$/:\$REV/)" infra', README))
    files = [path for path in MANIFEST_FILES if path.name != "titler.yaml"]
    command = ["sed", expression.replace("$REV", "1a2b3c"), *files]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    images = {
        container["image"]
        for document in yaml.safe_load_all(done.stdout)
        if document["kind"] == "Deployment"
        for container in document["spec"]["template"]["spec"]["containers"]
    }
    assert images == {"us-docker.pkg.dev/my-project/titler/titler:1a2b3c"}
    assert ":revision" not in done.stdout


def test_airflows_chart_has_the_version_that_its_values_name():
    values = (FOLDER / "airflow.yaml").read_text()
    ((chart, version),) = re.findall(r"helm upgrade --install airflow (\S+) --version (\S+) ", README)
    assert README.count("helm upgrade") == 1
    assert f"({chart} {version})" in values


def test_what_is_scheduled_is_not_paused_and_has_time_to_start():
    compose = yaml.safe_load((INFRA / "compose.yaml").read_text())
    airflow = compose["services"]["airflow-api-server"]["environment"]
    assert (
        AIRFLOW["config"]["core"]["dags_are_paused_at_creation"]
        == airflow["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"]
        == "False"
    )
    assert AIRFLOW["config"]["api"]["workers"] == airflow["AIRFLOW__API__WORKERS"]
    assert (
        f"{AIRFLOW['apiServer']['startupProbe']['failureThreshold'] * 10}s"
        == compose["x-healthcheck"]["start_period"]
    )


def test_airflows_configuration_has_options_that_there_are():
    for section, options in AIRFLOW["config"].items():
        if section == "titler_pods":
            continue
        known = set(conf.configuration_description[section]["options"])
        assert set(options) <= known, section


def test_the_pods_of_training_are_as_the_values_say(monkeypatch):
    for name, value in {**AIRFLOW["config"]["titler_pods"], **{"executor": AIRFLOW["executor"]}}.items():
        section = "CORE" if name == "executor" else "TITLER_PODS"
        monkeypatch.setenv(f"AIRFLOW__{section}__{name.upper()}", value)
    executors.read_again(monkeypatch)
    spec = _pod.executor_config("train")["pod_override"].spec
    assert spec.containers[0].image == "us-docker.pkg.dev/my-project/titler/titler-gpu:revision"
    assert spec.node_selector == {"cloud.google.com/gke-accelerator": "nvidia-l4"}
    assert re.search(r'type\s+= "nvidia-l4"', TERRAFORM)
    assert [toleration.key for toleration in spec.tolerations] == ["nvidia.com/gpu"]


def test_versions_are_those_of_the_lock():
    assert f"\napache-airflow=={AIRFLOW['airflowVersion']} " in LOCK


def test_commands_are_programs_of_the_image():
    started = [AIRFLOW[component]["args"] for component in (*COMPONENTS, "migrateDatabaseJob")]
    for shell, option, line in started:
        assert (shell, option) == ("bash", "-c")
        script = line.split()[1]
        assert line.startswith("exec ")
        assert (ROOT / script).is_file()
    scripts = Path(sys.executable).parent
    for name, container in CONTAINERS.items():
        assert container["args"][0] == "bash" or (scripts / container["args"][0]).exists(), name


def test_titlers_variables_in_manifests_are_settings(monkeypatch):
    for variable in CONTAINERS["serve/serve"]["env"]:
        monkeypatch.setenv(variable["name"], variable.get("value", "secret"))
    loaded = settings.load()
    assert loaded.lake.root == settings.load(INFRA / "cloud.toml").lake.root
    assert loaded.serve.token.get_secret_value() == "secret"


def test_buckets_and_accounts_are_those_that_terraform_makes():
    named = "\n".join(path.read_text() for path in FOLDER.glob("*.yaml"))
    buckets = {
        name.replace("my-project", "${var.project}") for name in re.findall(r"my-project-titler-\w+", named)
    }
    assert buckets == set(re.findall(r"\$\{var\.project\}-titler-\w+", TERRAFORM))
    for account in set(re.findall(r"([\w-]+)@my-project\.iam", named)):
        assert f'account_id   = "{account}"' in TERRAFORM
    for account in [
        *(AIRFLOW[component]["serviceAccount"]["name"] for component in COMPONENTS),
        *({pod["serviceAccountName"] for pod in DEPLOYMENTS.values()} - {"dask-scheduler"}),
    ]:
        assert re.search(rf'"{account}"\s+= google_service_account', TERRAFORM), account


def test_each_account_of_kubernetes_has_one_identity_of_google():
    pairs: dict[str, str] = dict(
        re.findall(r'^\s+"([\w-]+)"\s+= google_service_account\.(\w+)\.name', TERRAFORM, re.MULTILINE)
    )
    for component in COMPONENTS:
        account = AIRFLOW[component]["serviceAccount"]
        assert (
            account["annotations"]["iam.gke.io/gcp-service-account"]
            == f"titler-{pairs[account['name']]}@my-project.iam.gserviceaccount.com"
        )
    for document in MANIFESTS:
        if document["kind"] == "ServiceAccount" and document["metadata"]["name"] in pairs:
            identity = document["metadata"]["annotations"]["iam.gke.io/gcp-service-account"]
            assert (
                identity == f"titler-{pairs[document['metadata']['name']]}@my-project.iam.gserviceaccount.com"
            )


def test_secrets_are_those_that_the_script_makes(tmp_path):
    file = tmp_path / "env"
    subprocess.run([sys.executable, INFRA / "compose_env.py", file], check=True, capture_output=True)
    made = subprocess.run(
        [sys.executable, FOLDER / "make_secrets.py", file, "10.64.0.2"],
        check=True,
        capture_output=True,
        text=True,
    )
    keys = {item["metadata"]["name"]: set(item["stringData"]) for item in json.loads(made.stdout)["items"]}
    assert keys == {
        AIRFLOW["data"]["metadataSecretName"]: {"connection"},
        AIRFLOW["fernetKeySecretName"]: {"fernet-key"},
        AIRFLOW["apiSecretKeySecretName"]: {"api-secret-key"},
        AIRFLOW["jwtSecretName"]: {"jwt-secret"},
        AIRFLOW["apiServer"]["extraVolumes"][0]["secret"]["secretName"]: {"password"},
        "titler-mlflow-database": {"uri"},
    }
    by_hand = re.findall(r"create secret generic (\S+) .*--from-literal=(\w+)=", README)
    assert {
        (variable["valueFrom"]["secretKeyRef"]["name"], variable["valueFrom"]["secretKeyRef"]["key"])
        for container in CONTAINERS.values()
        for variable in container.get("env", [])
        if "valueFrom" in variable
    } == {("titler-mlflow-database", "uri"), *by_hand}


def test_secrets_of_an_incomplete_file_are_refused(tmp_path):
    (tmp_path / "env").write_text("AIRFLOW_DATABASE_PASSWORD=a\n")
    refused = subprocess.run(
        [sys.executable, FOLDER / "make_secrets.py", tmp_path / "env", "10.0.0.1"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "has no variable AIRFLOW_FERNET_KEY, which the cluster needs" in refused.stderr


def test_nothing_runs_as_root_or_gets_privileges():
    assert AIRFLOW["securityContexts"]["pod"]["runAsNonRoot"]
    for pod in DEPLOYMENTS.values():
        assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, 50000)
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in CONTAINERS.values():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
    accounts = [document for document in MANIFESTS if document["kind"] == "ServiceAccount"]
    assert {account["automountServiceAccountToken"] for account in accounts} == {False}


def test_each_server_has_requests_probes_and_a_disruption_budget():
    budgets = [
        document["spec"]["selector"]["matchLabels"]
        for document in MANIFESTS
        if document["kind"] == "PodDisruptionBudget"
    ]
    selectors = [
        document["spec"]["selector"]["matchLabels"]
        for document in MANIFESTS
        if document["kind"] == "Deployment"
    ]
    assert sorted(map(str, budgets)) == sorted(map(str, selectors))
    for name, container in CONTAINERS.items():
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}, name
        assert name == "mlflow/migrate" or {"startupProbe", "livenessProbe"} <= set(container), name


def test_a_policy_lets_nobody_in_but_those_that_another_names():
    policies = {
        document["metadata"]["name"]: document["spec"]
        for document in MANIFESTS
        if document["kind"] == "NetworkPolicy"
    }
    assert policies["nobody"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    assert set(policies) == {"nobody", "airflow-api-server", "mlflow", "dask", "serve"}


def test_manifests_are_kubernetes_own(tmp_path):
    run(program("kubernetes-validate"), "--strict", *MANIFEST_FILES)
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((FOLDER / "titler.yaml").read_text().replace("podSelector:", "podSelectors:"))
    with pytest.raises(AssertionError, match="podSelectors"):
        run(program("kubernetes-validate"), "--strict", wrong)
