"""Make an application with a stand-in for each of TheEye's servers, to check what /readyz reports about them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask import Flask

import app
from support.processes import wait_until
from support.theeye import StandIn

GATEWAY = "gateway: known sessions still work, new ones get 502 until it is back"
REDIS = "redis: the service polls TheEye until it is back"
SUPERVISOR = "supervisor: no task can be run"
READY = (200, {"status": "ready", "degraded": []})
STARTING = (503, {"status": "starting", "degraded": []})


def when_known(ask: Callable[[], Any]) -> Any:
    """Return the body of /readyz from `ask`, after the first probes of TheEye have ended."""
    bodies: list[Any] = []

    def is_known() -> bool:
        bodies.append(ask())
        return bool(bodies[-1]["status"] != "starting")

    wait_until(is_known, 30, "the first looks")
    return bodies[-1]


@dataclass(frozen=True)
class Parts:
    gateway: StandIn
    supervisor: StandIn
    flask: Flask

    @property
    def services(self) -> app.Services:
        services: app.Services = self.flask.extensions[app.EXTENSION]
        return services

    def ready(self, query: str = "") -> tuple[int, Any]:
        got = self.flask.test_client().get(f"/readyz{query}")
        return got.status_code, {name: got.get_json()[name] for name in ("status", "degraded")}

    def becomes(self, *expected: Any) -> None:
        wait_until(lambda: self.ready() == expected, 30, f"{expected}, not {self.ready()}")


@contextmanager
def assembled(**settings: Any) -> Iterator[Parts]:
    with StandIn() as gateway, StandIn() as supervisor:
        settings = {"gateway_url": gateway.url, "supervisor_url": supervisor.url} | settings
        parts = Parts(gateway, supervisor, app.create_app(app.Settings(**settings)))
        yield parts
        parts.services.health.stop()
        parts.services.health._gateway._transport.close()
        parts.services.supervisor.transport.close()
