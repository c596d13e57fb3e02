"""Every file of deploy/ against the schema of whoever is to read it, and against each other."""

import json
from pathlib import Path
from typing import Any

import dask_kubernetes
import jsonschema
import pytest
import yaml
from dask.config import merge
from prefect.utilities.templating import apply_values

from gmm_dask.clusters.dask_settings import cluster_settings
from tests.deploy.processes import BIN, DEPLOY, ROOT, run, well

KUBERNETES = DEPLOY / "kubernetes"
CRDS = Path(dask_kubernetes.__file__).parent / (
    "operator/deployment/helm/dask-kubernetes-operator/crds"
)
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.load_all(path.read_text(), yaml.CSafeLoader))


def flat(nested: dict[str, Any], known: set[str], prefix: str = "") -> dict[str, Any]:
    """Dotted names, down to those that are known."""
    named: dict[str, Any] = {}
    for key, value in nested.items():
        name = prefix + key
        deeper = isinstance(value, dict) and name not in known
        named |= flat(value, known, f"{name}.") if deeper else {name: value}
    return named


def test_dask_is_told_what_our_own_clusters_are_told():
    settings = cluster_settings()
    (told,) = documents(DEPLOY / "dask.yaml")
    assert flat(told, set(settings)) == settings


def test_the_image():
    done = run([BIN / "hadolint", "--failure-threshold", "style", DEPLOY / "Dockerfile"])
    assert done.returncode == 0, done.stdout
    text = (DEPLOY / "Dockerfile").read_text()
    assert text.index("USER 10001") > text.rindex("COPY"), "what is copied belongs to root"


def test_what_is_copied_into_the_image_is_there():
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--" not in line]
    sent = [
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    for source in [name for names in copied for name in names]:
        assert (ROOT / source).exists()
        assert source in sent, f"{source} is kept from the engine by .dockerignore"


def test_the_compose_file():
    schema = ["--builtin-schema", "vendor.compose-spec"]
    well([BIN / "check-jsonschema", *schema, DEPLOY / "compose.yaml"])


def test_the_compose_file_opens_no_port_and_keeps_no_secret():
    (compose,) = documents(DEPLOY / "compose.yaml")
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} publishes {port}"
        for key, value in service["environment"].items():
            if any(word in key for word in ("PASSWORD", "SECRET", "AUTH", "ACCESS_KEY")):
                assert value.startswith("${"), f"{name}: {key}"
        ends = service["restart"] == "no"
        assert ends or service["restart"] == "unless-stopped"
        assert ends or "healthcheck" in service or "HEALTH" in service["environment"], name
        for other, condition in service.get("depends_on", {}).items():
            ended = compose["services"][other]["restart"] == "no"
            wanted = "service_completed_successfully" if ended else "service_healthy"
            assert condition == {"condition": wanted}


def test_the_environment_names_all_that_compose_asks_for():
    asked = set()
    for word in (DEPLOY / "compose.yaml").read_text().split("${")[1:]:
        asked.add(word.split("}")[0].split(":")[0])
    lines = (DEPLOY / "environment.example").read_text().splitlines()
    given = {line.split("=")[0] for line in lines if line and not line.startswith("#")}
    assert given == asked


CORE = sorted(path for path in KUBERNETES.glob("*.yaml") if path.name != "cluster.yaml")


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_objects_of_kubernetes(path):
    well([BIN / "kubernetes-validate", "--strict", path])


def job() -> dict[str, Any]:
    """What a work pool of Kubernetes makes of a flow run in which nothing is filled in."""
    template = json.loads((KUBERNETES / "work-pool.json").read_text())
    asked = template["variables"]["properties"]
    values = {name: field["default"] for name, field in asked.items() if "default" in field}
    values["name"] = "fit"
    # What Prefect's worker makes of them.
    values["env"] = [{"name": name, "value": value} for name, value in values["env"].items()]
    values["command"] = ["prefect", "flow-run", "execute"]
    return apply_values(template["job_configuration"], values)["job_manifest"]


def test_the_job_of_a_flow_run(tmp_path):
    made = job()
    made["metadata"]["name"] = "fit-1"  # of generateName, which the validator does not know
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(made))
    well([BIN / "kubernetes-validate", "--strict", tmp_path / "job.yaml"])


def strict(schema: Any) -> Any:
    """The schema, refusing what it does not name."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    open_end = schema.get("x-kubernetes-preserve-unknown-fields")
    if schema.get("type") == "object" and "properties" in schema and not open_end:
        made.setdefault("additionalProperties", False)
    return made


def schema_of(kind: str) -> dict[str, Any]:
    """What the operator asks of its own kinds; metadata is Kubernetes's."""
    (definition,) = documents(CRDS / f"{kind.lower()}.yaml")
    schema = strict(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    common = {"apiVersion": {"const": "kubernetes.dask.org/v1"}, "kind": {"const": kind}}
    schema["properties"] |= common | {"metadata": {"type": "object"}}
    return schema


@pytest.mark.parametrize("index", [0, 1], ids=["DaskCluster", "DaskAutoscaler"])
def test_objects_of_the_dask_operator(index):
    told = documents(KUBERNETES / "cluster.yaml")[index]
    schema = jsonschema.Draft202012Validator(schema_of(told["kind"]))
    schema.validate(told)
    with pytest.raises(jsonschema.ValidationError, match="wokers"):
        schema.validate(merge(told, {"spec": {"wokers": 3}}))


def containers() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Every container with its pod."""
    cluster = documents(KUBERNETES / "cluster.yaml")[0]["spec"]
    pods = [cluster["scheduler"]["spec"], cluster["worker"]["spec"]]
    for told in documents(KUBERNETES / "prefect.yaml"):
        if told["kind"] == "Deployment":
            pods.append(told["spec"]["template"]["spec"])
    return [(pod, container) for pod in pods for container in pod["containers"]]


@pytest.mark.parametrize(("pod", "container"), containers(), ids=lambda one: one.get("name"))
def test_containers_are_confined_watched_and_limited(pod, container):
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod["automountServiceAccountToken"]
    confined = container["securityContext"]
    assert not confined["allowPrivilegeEscalation"]
    assert confined["readOnlyRootFilesystem"]
    assert confined["capabilities"] == {"drop": ["ALL"]}
    assert {"startupProbe", "livenessProbe"} <= container.keys()
    assert "memory" in container["resources"]["limits"]
    assert not any("SECRET" in one["name"] or "AUTH" in one["name"] for one in container["env"])


@pytest.mark.needs("systemd-analyze")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_units_of_systemd(unit, tmp_path):
    here = tmp_path / unit.name
    here.write_text(unit.read_text().replace("/opt/gmm-dask/.venv/bin/", f"{BIN}/"))
    done = run(["systemd-analyze", "verify", "--man=no", here])
    assert done.returncode == 0
    assert unit.name not in done.stdout + done.stderr, done.stderr
    assert "Restart=always" in unit.read_text()
    well(["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=20", here])
