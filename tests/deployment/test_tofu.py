"""The OpenTofu module parses, asks for nothing that is not there, and lets only Cloudflare in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import hcl2
import pytest

from tests.deployment.files import ROOT

FOLDER = ROOT / "deploy" / "tofu"
FILES = sorted(FOLDER.glob("*.tf"))

Blocks = dict[str, Any]


def plain(value: Any) -> Any:
    """As it is meant: the parser keeps the quotes of strings, and remarks beside the blocks."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if not k.startswith("__")}
        return {plain(key): plain(each) for key, each in kept.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.strip('"') if isinstance(value, str) else value


def blocks(kind: str) -> Iterator[Blocks]:
    for path in FILES:
        with path.open(encoding="utf-8") as reading:
            yield from plain(hcl2.load(reading).get(kind, []))


def named(kind: str) -> dict[str, Any]:
    """Resources or data by `type.name`."""
    return {
        f"{type_}.{name}": body
        for block in blocks(kind)
        for type_, inner in block.items()
        for name, body in inner.items()
    }


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    return named("resource")


def test_everything_that_is_referred_to_is_there(resources: dict[str, Any]) -> None:
    text = "\n".join(re.sub("#.*", "", path.read_text("utf-8")) for path in FILES)
    variables = {name for block in blocks("variable") for name in block}
    assert set(re.findall(r"\bvar\.(\w+)", text)) == variables
    known = set(named("data"))
    assert set(re.findall(r"\bdata\.(\w+\.\w+)", text)) == known
    asked = set(re.findall(r"(?<![\w.\"/])((?:aws|cloudflare|random)_\w+\.\w+)\.", text))
    assert asked <= set(resources), asked - set(resources)


def test_every_provider_is_named_with_its_version(resources: dict[str, Any]) -> None:
    [terraform] = blocks("terraform")
    [providers] = terraform["required_providers"]
    kinds = {name.partition("_")[0] for name in (*resources, *named("data"))}
    assert {name.partition(".")[0] for name in kinds} == set(providers)


def test_every_variable_says_what_it_is() -> None:
    for block in blocks("variable"):
        for name, body in block.items():
            assert body.get("description") and body.get("type"), name


def test_the_load_balancer_lets_only_cloudflare_in(resources: dict[str, Any]) -> None:
    balancer = "aws_security_group.balancer.id"
    rules = {
        name: body
        for name, body in resources.items()
        if name.startswith("aws_vpc_security_group_ingress_rule.")
        and balancer in body["security_group_id"]
    }
    assert {body["for_each"] for body in rules.values()} == {
        "${toset(local.cloudflare_ranges.ipv4)}",
        "${toset(local.cloudflare_ranges.ipv6)}",
    }
    assert all((body["from_port"], body["to_port"]) == (443, 443) for body in rules.values())
    group = resources["aws_security_group.balancer"]
    assert "ingress" not in group, "A rule of the group's own would be beside those."
    ranges = "".join(block.get("cloudflare_ranges", "") for block in blocks("locals"))
    assert "var.cloudflare_ranges" in ranges and "data.cloudflare_ip_ranges.published" in ranges


def test_the_database_is_reached_by_pods_alone_and_cannot_be_lost(
    resources: dict[str, Any],
) -> None:
    database = resources["aws_db_instance.database"]
    assert database["publicly_accessible"] is False
    assert database["storage_encrypted"] is True
    assert database["deletion_protection"] is True
    assert database["multi_az"] is True
    assert database["skip_final_snapshot"] is False
    rule = resources["aws_vpc_security_group_ingress_rule.database"]
    assert rule["for_each"] == "${toset(var.pod_cidrs)}"


def test_pods_may_use_the_secrets_key_and_no_other() -> None:
    document = named("data")["aws_iam_policy_document.secrets"]
    [statement] = document["statement"]
    assert statement["actions"] == ["kms:Encrypt", "kms:Decrypt"]
    assert [one.strip("${}") for one in statement["resources"]] == ["aws_kms_key.secrets.arn"]


def test_what_brings_no_login_is_let_through_where_it_brings_another_proof(
    resources: dict[str, Any],
) -> None:
    """The same paths at Cloudflare and at the load balancer, and no others."""
    assert [one["open_paths"] for one in blocks("locals") if "open_paths" in one] == [
        ["twilio", "j"]
    ]
    assert "local.open_paths" in str(resources["aws_lb_listener_rule.other_proof"]["condition"])
    application = resources["cloudflare_zero_trust_access_application.open"]
    assert "local.open_paths" in application["for_each"]
    first = resources["aws_lb_listener.https"]["default_action"][0]
    assert first["type"] == "authenticate-oidc"


def test_what_is_no_webhook_is_turned_away_before_robots_are_let_through(
    resources: dict[str, Any],
) -> None:
    block, skip = resources["cloudflare_ruleset.twilio"]["rules"]
    assert (block["action"], skip["action"]) == ("block", "skip")
    assert "x-twilio-signature" in block["expression"]
    assert "http_request_sbfm" in skip["action_parameters"]["phases"]


def test_nothing_that_is_secret_is_written_down() -> None:
    for path in FILES:
        for line in path.read_text("utf-8").splitlines():
            found = re.search(r"\b(password|client_secret)\s*=\s*(.*)", line)
            assert not found or "random_password" in found[2] or "var." in found[2], line
