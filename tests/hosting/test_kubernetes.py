"""Test deploy/kubernetes: against schemas, its figures against the service, and a rolling update carried out here."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from support.container import CHECKOUT, Container, stages
from support.host_checks import DEPLOY
from support.nginx import Nginx
from support.pages import read
from support.processes import Redis, free_port, need, raw_request, request_bytes, wait_until
from support.settings import environment
from support.theeye import StandIn
from support.world import World, over_http

from app import Settings
from app.redis_url import SENTINEL_PORT
from app.settings import variable_of

FOLDER = DEPLOY / "kubernetes"
MANIFESTS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yaml"))}
KUSTOMIZATION = MANIFESTS.pop("kustomization")
POD = MANIFESTS["deployment"]["spec"]["template"]["spec"]
[BOX] = POD["containers"]
SCHEMA = json.loads((CHECKOUT / "tests/data/servicemonitor.json").read_text())


@pytest.mark.parametrize("name", [name for name in MANIFESTS if name != "monitor"])
def test_the_schemas_allow_each_file(name: str) -> None:
    kubernetes_validate.validate(MANIFESTS[name], kubernetes_validate.latest_version(), strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(MANIFESTS[name] | {"spex": {}}, kubernetes_validate.latest_version(), strict=True)


def test_the_schema_allows_the_monitor() -> None:
    jsonschema.validate(MANIFESTS["monitor"], SCHEMA)


def test_the_kustomization_has_them_all() -> None:
    command = [need("kubectl", "kubernetes-client"), "kustomize", str(FOLDER)]
    rendered = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    found = {each["kind"]: each for each in yaml.safe_load_all(rendered)}
    assert found.keys() == {each["kind"] for each in MANIFESTS.values()}
    image = found["Deployment"]["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == f"registry.example.org/theeye-sync:{KUSTOMIZATION['images'][0]['newTag']}"
    assert f"version = {KUSTOMIZATION['images'][0]['newTag']}\n" in (CHECKOUT / "setup.cfg").read_text()


def test_the_selectors_find_the_pods() -> None:
    labels = MANIFESTS["deployment"]["spec"]["template"]["metadata"]["labels"]
    assert MANIFESTS["deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert MANIFESTS["service"]["spec"]["selector"] == MANIFESTS["service"]["metadata"]["labels"] == labels
    for name, word in {"disruption": "selector", "network": "podSelector", "monitor": "selector"}.items():
        assert MANIFESTS[name]["spec"][word]["matchLabels"] == labels
    ports = {each["name"] for each in BOX["ports"]}
    assert {each["targetPort"] for each in MANIFESTS["service"]["spec"]["ports"]} == ports == {"http", "metrics"}


def test_a_pod_has_few_rights_and_those_of_the_image() -> None:
    user, group = map(int, stages()[-1].last("USER").split(":"))
    assert POD["securityContext"] == {
        **{"runAsNonRoot": True, "runAsUser": user, "runAsGroup": group},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert BOX["securityContext"] == {
        **{"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True},
        "capabilities": {"drop": ["ALL"]},
    }
    assert (POD["enableServiceLinks"], POD["automountServiceAccountToken"]) == (False, False)


def test_the_network_policy_allows_what_is_needed() -> None:
    policy = MANIFESTS["network"]["spec"]
    outwards = {(each["port"], each.get("protocol")) for rule in policy["egress"] for each in rule["ports"]}
    assert outwards == {(53, "UDP"), (53, "TCP"), (443, None), (6379, None), (SENTINEL_PORT, None)}
    inwards = [each["port"] for rule in policy["ingress"] for each in rule["ports"]]
    assert inwards == [each["name"] for each in BOX["ports"]]


def test_the_figures_are_those_of_the_service() -> None:
    gunicorn, settings = runpy.run_path(str(CHECKOUT / "gunicorn.conf.py")), Settings()
    assert POD["terminationGracePeriodSeconds"] == pre_stop_seconds() + gunicorn["graceful_timeout"] + 10
    annotations = MANIFESTS["ingress"]["metadata"]["annotations"]
    timeout = annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"]
    assert annotations["nginx.ingress.kubernetes.io/proxy-body-size"] == f"{settings.max_body >> 20}m"
    assert int(timeout) > 3 * settings.call_timeout + settings.wait_seconds
    assert f"proxy_read_timeout    {timeout}s;" in (DEPLOY / "nginx.conf").read_text()
    [metric] = MANIFESTS["autoscaler"]["spec"]["metrics"]
    assert int(metric["pods"]["target"]["averageValue"]) * 2 == settings.max_waiting * int(
        BOX["resources"]["limits"]["cpu"]
    )
    assert {each["name"] for each in BOX["env"]} <= {variable_of(each.name) for each in fields(Settings)}
    assert BOX["readinessProbe"]["httpGet"]["path"] == "/readyz?local=1"


def test_the_page_explains_every_figure() -> None:
    page = read("docs/kubernetes.md")
    found = {leaf for name in MANIFESTS for leaf in leaves(MANIFESTS[name])}
    figures = {(name, value) for name, value in found if re.fullmatch(r"[0-9]+(m|Mi|Gi|s)?", value)}
    others = {"port", "containerPort", "value", "command"}
    words = {f"`{name.rpartition('/')[2]}` {value}" for name, value in figures if name not in others}
    assert len(words) > 20
    assert [each for each in sorted(words) if each not in page] == []
    assert f"| `preStop` {pre_stop_seconds()} s |" in page


def leaves(node: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield each value in a document, with its name."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from leaves(value, name)
    else:
        yield name, str(node)


def pre_stop_seconds() -> int:
    command, seconds = BOX["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    return int(seconds)


class Pod(Container):
    """Run a pod of the Deployment, on a port of this machine."""

    def __init__(self, venv: Path, port: int, theeye: StandIn, redis: Redis) -> None:
        self.port = port
        env = {each["name"]: each.get("value", "") for each in BOX["env"]}
        env |= environment(theeye, redis_url=redis.url, metrics_bind=f":{free_port()}") | {"PORT": str(port)}
        super().__init__(venv, env, [each["mountPath"] for each in BOX["volumeMounts"]])

    def passes(self, probe: str) -> bool:
        self._check_early_exit()
        try:
            target = BOX[probe]["httpGet"]["path"]
            return raw_request("127.0.0.1", self.port, request_bytes("GET", target)).status == 200
        except OSError:
            return False

    def start(self) -> None:
        super().start()
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            wait_until(lambda probe=probe: self.passes(probe), 60, probe)  # type: ignore[misc]

    def delete(self) -> None:
        """Stop the pod as the kubelet does: preStop, then SIGTERM, and the end within the grace period."""
        subprocess.run(self.arguments(BOX["lifecycle"]["preStop"]["exec"]["command"]), timeout=30, check=True)
        self.terminate()
        assert self.wait(POD["terminationGracePeriodSeconds"]) == 0


@pytest.fixture
def rollout(venv: Path, theeye_redis: StandIn, redis_server: Redis) -> Iterator[tuple[Nginx, Any]]:
    """Run two pods behind nginx, and replace them one after the other."""
    with ExitStack() as stack:
        pods = [stack.enter_context(Pod(venv, free_port(), theeye_redis, redis_server)) for _ in range(2)]
        nginx = stack.enter_context(Nginx(*(pod.port for pod in pods)))

        def replace_all() -> None:
            for pod in pods:
                pod.delete()
                stack.enter_context(Pod(venv, pod.port, theeye_redis, redis_server))

        yield nginx, replace_all


@pytest.mark.deploy
def test_a_rolling_update_loses_no_answer(rollout: tuple[Nginx, Any], theeye_redis: StandIn) -> None:
    nginx, replace_all = rollout
    world = World(theeye_redis, over_http(nginx.url))
    theeye_redis.task(delay=0.3)
    over = threading.Event()

    def call_again_and_again() -> list[int]:
        statuses = []
        while not over.is_set():
            statuses.append(world.post().status_code)
        return statuses

    with ThreadPoolExecutor(6) as pool:
        callers = [pool.submit(call_again_and_again) for _ in range(6)]
        try:
            replace_all()
        finally:
            over.set()
        statuses = [status for caller in callers for status in caller.result(60)]
    assert len(statuses) > 20
    assert set(statuses) == {200}
