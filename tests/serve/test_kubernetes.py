"""Manifests of deploy/kubernetes: valid by the schemas of Kubernetes, and they fit the program and each other."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from glowtron.cli.serve import serve
from glowtron.serve.on_ray import read_settings

yaml = pytest.importorskip("yaml", reason="pyyaml is not installed")
KUBERNETES = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"
FILES = sorted(KUBERNETES.rglob("*.yaml"))
VERSIONS = ("1.31.0", "1.34.0")
POD_FIELDS = {"rayStartParams", "template"}
GROUP_FIELDS = POD_FIELDS | {"groupName", "replicas", "minReplicas", "maxReplicas", "idleTimeoutSeconds"}
CLUSTER_FIELDS = {
    "rayVersion", "enableInTreeAutoscaling", "autoscalerOptions", "headGroupSpec", "workerGroupSpecs"
}  # fmt: skip
"""Of KubeRay's API `ray.io/v1` (its reference), those that are used here."""


def documents(path):
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]


def of_kind(kind):
    return [(path, one) for path in FILES for one in documents(path) if one.get("kind") == kind]


def cluster_of(one):
    return one["spec"]["rayClusterConfig"] if one["kind"] == "RayService" else one["spec"]


CLUSTERS = of_kind("RayCluster") + of_kind("RayService")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(KUBERNETES)))
def test_manifests_are_valid(path, version):
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    for one in documents(path):
        if one["apiVersion"].startswith("ray.io/"):
            # KubeRay has schemas of its own; the pods in them are Kubernetes'.
            cluster = cluster_of(one)
            for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
                template = {"metadata": {"labels": {"a": "b"}}, **group["template"]}
                spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
                validator.validate(
                    {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": spec},
                    version,
                    strict=True,
                )
        elif not one["apiVersion"].startswith("kustomize."):
            validator.validate(one, version, strict=True)


def test_the_validator_finds_what_is_wrong():
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    [(_, deployment)] = of_kind("Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["ressources"] = {}
    with pytest.raises(validator.ValidationError):
        validator.validate(deployment, VERSIONS[0], strict=True)


def test_the_deployment_and_its_autoscaler_fit_the_program():
    [(_, deployment)], [(_, service)] = of_kind("Deployment"), of_kind("Service")
    [(_, autoscaler)], [(_, budget)] = of_kind("HorizontalPodAutoscaler"), of_kind("PodDisruptionBudget")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for selector in (deployment["spec"]["selector"]["matchLabels"], service["spec"]["selector"]):
        assert selector.items() <= labels.items()
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert autoscaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"], "a number of replicas would undo the autoscaler's at each apply"
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert "cpu" in container["resources"]["requests"], "the autoscaler goes by shares of what is asked for"
    help = CliRunner().invoke(serve, ["--help"]).output
    assert all(option in help for option in container["args"] if option.startswith("--"))
    assert str(container["ports"][0]["containerPort"]) in re.search(r"--port.*?\]", help, re.DOTALL)[0]
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= {one["name"] for one in container["ports"]}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/health", "port": "http"}


@pytest.mark.parametrize(("path", "one"), CLUSTERS, ids=lambda value: value.name if isinstance(value, Path) else "")
def test_clusters_use_fields_that_there_are_and_one_version(path, one):
    cluster = cluster_of(one)
    assert set(cluster) <= CLUSTER_FIELDS
    assert set(cluster["headGroupSpec"]) <= POD_FIELDS
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    pins = (KUBERNETES.parents[1] / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert f"ray=={cluster['rayVersion']}" in pins
    images = {cluster["headGroupSpec"]["template"]["spec"]["containers"][0]["image"]}
    for group in cluster["workerGroupSpecs"]:
        assert set(group) <= GROUP_FIELDS
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        images.add(group["template"]["spec"]["containers"][0]["image"])
    assert len(images) == 1, "head and workers must run the same program"


def test_the_service_is_read_by_ray_and_by_the_program():
    [(_, one)] = of_kind("RayService")
    config = yaml.safe_load(one["spec"]["serveConfigV2"])
    [application] = config["applications"]
    server, replicas = read_settings(application["args"])
    assert server.voices == ("duet",)
    group = one["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
    cores = group["maxReplicas"] * int(group["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"])
    assert replicas.max_replicas * replicas.cores <= cores, "the cluster must have room for all replicas"
    schema = pytest.importorskip("ray.serve.schema", reason="the extra 'ray' is not installed")
    read = (
        schema.ServeDeploySchema.model_validate(config)
        if hasattr(schema.ServeDeploySchema, "model_validate")
        else (schema.ServeDeploySchema.parse_obj(config))
    )
    assert read.applications[0].import_path == "glowtron.serve.on_ray:application"


def test_bulk_has_one_drive_everywhere():
    [(_, claim)], [(_, cluster)] = of_kind("PersistentVolumeClaim"), of_kind("RayCluster")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for group in (cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]):
        spec = group["template"]["spec"]
        [volume], [mount] = spec["volumes"], spec["containers"][0]["volumeMounts"]
        assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        assert mount == {"name": volume["name"], "mountPath": "/bulk"}
