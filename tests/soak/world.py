"""Start and stop everything that can fail in a soak: TheEye, Redis and the services."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from soak.books import Windows
from soak.theeye import SoakTheEye
from support.processes import Redis, Service
from support.settings import environment
from support.theeye import StandIn


@dataclass
class World:
    """Hold everything that can fail."""

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
        """Wait for some seconds, or until the soak stops."""
        self.stop.wait(self.rng.uniform(least, most))


@contextmanager
def world_of(
    windows: Windows, make: Callable[[str], SoakTheEye], kinds: dict[str, int], rng: random.Random
) -> Iterator[World]:
    """Start everything, and stop it at the end; a service that does not stop is a failure."""
    with ExitStack() as stack:
        redis = stack.enter_context(Redis(keeps=True))  # keys that are lost with it could not be kept by anyone
        theeye = make(redis.url)
        stack.enter_context(theeye)
        gateway = stack.enter_context(StandIn())
        settings = {"call_timeout": 5, "wait_seconds": 30, "session_ttl": 3, "max_waiting": 400}
        env = environment(theeye, gateway_url=gateway.url, redis_url=redis.url, **settings)
        services = {kind: stack.enter_context(Service(env, kind, count)) for kind, count in kinds.items()}
        yield World(theeye, gateway, redis, services, kinds, windows, rng, threading.Event(), lambda: list(services))
