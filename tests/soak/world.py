"""All that can fail in a soak: TheEye, Redis and the services, started and stopped together."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from soak.books import Windows
from soak.theeye import SoakTheEye
from support.processes import Redis, Service, need, wait_until
from support.theeye import StandIn


class KeepingRedis(Redis):
    """A Redis that survives SIGKILL with all it was told: keys that are lost with it could not be kept by anyone."""

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory)]
        options += ["--save", "", "--appendonly", "yes", "--appendfsync", "no", "--loglevel", "warning"]
        self.launch([need("redis-server", "redis-server"), *options])
        wait_until(self._answers, 20.0, "redis-server")


@dataclass
class World:
    """All that can fail."""

    theeye: SoakTheEye
    gateway: StandIn
    redis: Redis
    services: dict[str, Service]
    workers: dict[str, int]
    windows: Windows
    rng: random.Random
    stop: threading.Event
    strikeable: Callable[[], list[str]]

    def pause(self, least: float, most: float) -> None:
        """Wait so many seconds, or until the soak is to stop."""
        self.stop.wait(self.rng.uniform(least, most))


@contextmanager
def world_of(
    windows: Windows, make: Callable[[str], SoakTheEye], kinds: dict[str, int], rng: random.Random
) -> Iterator[World]:
    """Start everything, and stop it at the end; a service that does not stop is a failure."""
    with ExitStack() as stack:
        redis = stack.enter_context(KeepingRedis())
        theeye = make(redis.url)
        stack.enter_context(theeye)
        gateway = stack.enter_context(StandIn())
        env = {"SYNC_SUPERVISOR_URL": theeye.url, "SYNC_GATEWAY_URL": gateway.url, "SYNC_REDIS_URL": redis.url}
        env |= {"SYNC_CALL_TIMEOUT": "5", "SYNC_WAIT_SECONDS": "30", "SYNC_SESSION_TTL": "3", "SYNC_MAX_WAITING": "400"}
        services = {
            kind: stack.enter_context(Service(env, worker=kind, workers=count)) for kind, count in kinds.items()
        }
        yield World(theeye, gateway, redis, services, kinds, windows, rng, threading.Event(), lambda: list(services))
