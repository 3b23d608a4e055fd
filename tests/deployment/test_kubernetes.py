"""Manifests are what Kubernetes takes, and hold to what docs/deployment.md promises of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from strike_app.safety import unsafe
from strike_app.settings import Settings
from tests.deployment.files import (
    KUBERNETES,
    ROOT,
    Manifest,
    are_settings,
    loaded,
    of_kind,
    pods,
    rendered,
)

OVERLAYS = ["main", "main/secrets", "demo", "demo/secrets"]
SYSTEMS = ["main", "demo"]
VERSION = "1.34"
"""Of Kubernetes: the oldest that we go by."""

SCHEMAS = Path(__file__).parent / "schemas"
APPLICATIONS = sorted((ROOT / "deploy" / "argocd").rglob("*.yaml"))

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl on PATH")


def check(manifest: Manifest) -> None:
    """By Kubernetes' own schema, or for what others added to it by ours of the part that we use."""
    ours = SCHEMAS / f"{manifest['kind']}.json"
    if ours.is_file():
        Draft202012Validator(json.loads(ours.read_text())).validate(manifest)
    else:
        kubernetes_validate.validate(manifest, VERSION, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_manifest_is_what_the_cluster_takes(overlay: str) -> None:
    for manifest in rendered(overlay):
        check(manifest)


@pytest.mark.parametrize("path", APPLICATIONS, ids=lambda path: path.stem)
def test_every_application_is_what_argocd_takes_and_leads_to_a_folder(path: Path) -> None:
    for manifest in loaded(path):
        check(manifest)
        if manifest["kind"] == "Application":
            assert list((ROOT / manifest["spec"]["source"]["path"]).glob("*.yaml"))


@pytest.mark.parametrize("flaw", ["replicas: many", "replica: 3"])
def test_a_manifest_with_a_mistake_is_found(flaw: str) -> None:
    key, _, value = flaw.partition(": ")
    manifest = json.loads(json.dumps(of_kind(rendered("main"), "Deployment")[0]))
    manifest["spec"][key] = value
    with pytest.raises(kubernetes_validate.ValidationError):
        check(manifest)


@pytest.mark.parametrize("overlay", SYSTEMS)
def test_no_pod_has_more_rights_than_it_needs(overlay: str) -> None:
    for name, template in pods(rendered(overlay)):
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"], name
        assert spec["securityContext"]["runAsUser"] == 65532, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["automountServiceAccountToken"] is False, name
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert set(container["resources"]) == {"requests", "limits"}, name
            assert "memory" in container["resources"]["limits"], name


@pytest.mark.parametrize("overlay", SYSTEMS)
def test_every_part_that_goes_on_is_watched_and_replaced_before_it_goes(overlay: str) -> None:
    manifests = rendered(overlay)
    kept = {one["metadata"]["name"]: one for one in of_kind(manifests, "PodDisruptionBudget")}
    for one in of_kind(manifests, "Deployment"):
        name, spec = one["metadata"]["name"], one["spec"]
        [container] = spec["template"]["spec"]["containers"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container), name
        if name == "strike-mock":
            continue
        assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        assert 0 < kept[name]["spec"]["minAvailable"] < spec["replicas"], name


def test_every_part_is_asked_whether_it_lives_and_whether_it_is_ready() -> None:
    for one in of_kind(rendered("main"), "Deployment"):
        [container] = one["spec"]["template"]["spec"]["containers"]
        name = one["metadata"]["name"]
        port = "http" if name == "strike-api" else "metrics"
        assert container["startupProbe"]["httpGet"] == {"path": "/healthz", "port": port}
        assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": port}
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port}


def test_requests_under_way_are_finished_when_the_api_goes() -> None:
    [api] = [
        one
        for one in of_kind(rendered("main"), "Deployment")
        if one["metadata"]["name"] == "strike-api"
    ]
    [container] = api["spec"]["template"]["spec"]["containers"]
    after = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    # Requests under way may take 30 s, and are finished first.
    assert api["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= after + 30


def test_each_role_has_a_deployment_of_its_own() -> None:
    found = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]["containers"][0]["args"]
        for one in of_kind(rendered("demo"), "Deployment")
    }
    assert {name: args[:2] for name, args in found.items()} == {
        "strike-api": ["serve", "--no-followers"],
        "strike-followers": ["follow"],
        "strike-paging": ["work", "paging"],
        "strike-field": ["work", "field"],
        "strike-mock": ["mock", "--host=0.0.0.0"],
    }
    assert "strike-mock" not in {name for name, _ in pods(rendered("main"))}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_manifest_holds_a_secret(overlay: str) -> None:
    manifests = rendered(overlay)
    assert of_kind(manifests, "Secret") == []
    for _, template in pods(manifests):
        for container in template["spec"]["containers"]:
            assert [one for one in container.get("env", []) if "value" in one] == []
    for one in of_kind(manifests, "ConfigMap"):
        of_secrets = {"DATABASE_URL", "READ_DATABASE_URL", "HEARTBEAT_URL", "NATS_URL"}
        assert not {f"STRIKE_{name}" for name in of_secrets} & set(one["data"])


@pytest.mark.parametrize("overlay", SYSTEMS)
def test_the_settings_are_those_that_strike_reads_and_takes(
    overlay: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    [settings] = of_kind(rendered(overlay), "ConfigMap")
    assert are_settings(set(settings["data"]))
    for name, value in settings["data"].items():
        monkeypatch.setenv(name, value)
    taken = Settings()
    assert taken.has_login and taken.public_url and taken.secrets_kms_key
    monkeypatch.setenv("STRIKE_TRUSTED_PROXIES", "everybody")
    with pytest.raises(ValidationError):
        Settings()


def test_production_starts_with_these_settings_and_with_none_of_the_demos(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [settings] = of_kind(rendered("main"), "ConfigMap")
    for name, value in settings["data"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STRIKE_DATABASE_URL", "postgresql://strike@db/strike?sslmode=verify-full")
    assert Settings().environment == "production"
    assert [one.code for one in unsafe(Settings())] == []
    monkeypatch.delenv("STRIKE_SECRETS_KMS_KEY")
    assert [one.code for one in unsafe(Settings())] == ["SECRETS_KEY_MISSING"]


@pytest.mark.parametrize("overlay", SYSTEMS)
def test_whatever_a_pod_mounts_or_reads_is_there(overlay: str) -> None:
    """In the overlay, or among its secrets, which are there before."""
    there = {
        one["metadata"]["name"]
        for name in (overlay, f"{overlay}/secrets")
        for one in rendered(name)
    }
    for name, template in pods(rendered(overlay)):
        assert set(names_in(template["spec"])) <= there, name


def names_in(spec: Any) -> Iterator[str]:
    for container in spec["containers"]:
        yield from (one["configMapRef"]["name"] for one in container.get("envFrom", []))
        yield from (one["valueFrom"]["secretKeyRef"]["name"] for one in container.get("env", []))
    for volume in spec["volumes"]:
        if "secret" in volume:
            yield volume["secret"]["secretName"]
    if "serviceAccountName" in spec:
        yield spec["serviceAccountName"]


def test_the_database_is_prepared_before_and_with_nothing_that_comes_after() -> None:
    manifests = rendered("main")
    [job] = of_kind(manifests, "Job")
    assert job["metadata"]["annotations"]["argocd.argoproj.io/hook"] == "PreSync"
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["prepare"]
    secrets = {one["metadata"]["name"] for one in rendered("main/secrets")}
    assert set(names_in(job["spec"]["template"]["spec"])) <= secrets


@pytest.mark.parametrize("overlay", SYSTEMS)
def test_whoever_is_not_named_reaches_nothing(overlay: str) -> None:
    policies = {
        one["metadata"]["name"]: one["spec"] for one in of_kind(rendered(overlay), "NetworkPolicy")
    }
    assert policies["strike-nothing"]["podSelector"] == {}
    assert policies["strike-nothing"]["policyTypes"] == ["Ingress", "Egress"]
    assert {"ingress", "egress"} & set(policies["strike-nothing"]) == set()
    written = json.dumps([policies["strike-database"], policies["strike-callers"]])
    assert "192.0.2.0/24" not in written, "The example's network has to be replaced."
    for name, template in pods(rendered(overlay)):
        assert template["metadata"]["labels"]["app.kubernetes.io/part-of"] == "strike", name


def test_names_are_asked_for_where_the_cluster_answers_them() -> None:
    """A label that is put on everything would be asked of the cluster's own pods, too."""
    [names] = [
        one["spec"]
        for one in of_kind(rendered("main"), "NetworkPolicy")
        if one["metadata"]["name"] == "strike-names"
    ]
    assert names["podSelector"] == {}
    [to] = names["egress"][0]["to"]
    assert to["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}


def test_a_follower_needs_nothing_from_outside() -> None:
    labels = {name: one["metadata"]["labels"] for name, one in pods(rendered("main"))}
    outside = {name for name, one in labels.items() if one.get("strike/needs-outside") == "true"}
    assert outside == {"strike-api", "strike-paging", "strike-field"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_application_of_argocd_brings_each_overlay(overlay: str) -> None:
    found = {
        manifest["spec"]["source"]["path"]
        for path in APPLICATIONS
        for manifest in loaded(path)
        if manifest["kind"] == "Application"
    }
    assert (KUBERNETES / overlay).relative_to(ROOT).as_posix() in found
