"""The faults of the soak: each begins, lasts a while, and is healed again whatever happens."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from faults import CloseAfter, Drip, Fault, HalfBody, Html, Reply, Reset, Silence
from servers import Redis, Service, accepts, need, wait_until
from soak_books import GATEWAY, READS, REDIS, SUPERVISOR, WORKER, SoakTheEye, Windows
from standin import Call, StandIn

UNTIL_REPLACED = 60.0  # gunicorn lets the old workers finish for 35 s at the most


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
        """So many seconds, or until the soak is to stop."""
        self.stop.wait(self.rng.uniform(least, most))


@dataclass(frozen=True)
class Kind:
    """A fault: what it can excuse, and for how long after it was healed."""

    name: str
    fire: Callable[[World], None]
    touches: frozenset[str] = frozenset()
    slack: float = 2.0
    strikes: bool = False  # a process of a service, which is then another

    def carry_out(self, world: World) -> None:
        with world.windows.open(self.name, self.touches, self.slack):
            self.fire(world)


# -- Redis and the notifications -----------------------------------------------------------------------------


def kill_redis(world: World) -> None:
    world.redis.kill()
    try:
        world.pause(1, 6)
    finally:
        world.redis.start()


def freeze_redis(world: World) -> None:
    world.redis.freeze()
    try:
        world.pause(8, 8)
    finally:
        world.redis.thaw()


def cut_subscriptions(world: World) -> None:
    with world.redis.client() as client:
        for _ in range(5):
            client.client_kill_filter(_type="pubsub")
            world.pause(0.1, 0.5)


def send_notifications(how: str) -> Callable[[World], None]:
    def fire(world: World) -> None:
        world.theeye.notifications = how
        try:
            world.pause(3, 8)
        finally:
            world.theeye.notifications = "right"

    return fire


# -- the supervisor and the gateway --------------------------------------------------------------------------


def stop_supervisor(world: World) -> None:
    world.theeye.stop()
    try:
        world.pause(1, 4)
    finally:
        world.theeye.start()


def freeze_supervisor(world: World) -> None:
    world.theeye.freeze()
    try:
        world.pause(2, 7)
    finally:
        world.theeye.thaw()


def drop_idle_connections(world: World) -> None:
    for _ in range(20):
        world.theeye.drop_idle()
        world.gateway.drop_idle()
        world.pause(0.05, 0.2)


def fail_reads(fault: Fault) -> Callable[[World], None]:
    def fire(world: World) -> None:
        share = world.rng.choice([0.3, 0.7, 1.0])
        with armed(world.theeye, ("read", "lifecycle"), fault, lambda _: random.random() < share):
            world.pause(2, 5)

    return fire


LOST_ANSWERS: list[Fault] = [CloseAfter(), HalfBody(), Reset(True), Silence(6, carried_out=True), Html(200)]
NO_SESSIONS: list[Fault] = [Reply(500, {}), Html(502), Html(200), HalfBody()]


def lose_answers_to_creates(world: World) -> None:
    with armed(world.theeye, ("create",), world.rng.choice(LOST_ANSWERS), lambda _: random.random() < 0.2):
        world.pause(1, 2)


def fail_gateway(world: World) -> None:
    fire = world.rng.choice([stop_gateway, freeze_gateway, break_gateway])
    fire(world)


def stop_gateway(world: World) -> None:
    world.gateway.stop()
    try:
        world.pause(2, 6)
    finally:
        world.gateway.start()


def freeze_gateway(world: World) -> None:
    world.gateway.freeze()
    try:
        world.pause(2, 6)
    finally:
        world.gateway.thaw()


def break_gateway(world: World) -> None:
    with armed(world.gateway, ("profile",), world.rng.choice(NO_SESSIONS)):
        world.pause(2, 6)


@contextmanager
def armed(
    standin: StandIn, kinds: tuple[str, ...], fault: Fault, when: Callable[[Call], bool] | None = None
) -> Iterator[None]:
    for kind in kinds:
        standin.fault(kind, fault, when=when)
    try:
        yield
    finally:
        standin.heal()


# -- the workers ---------------------------------------------------------------------------------------------


def kill_worker(world: World) -> None:
    name = world.rng.choice(world.strikeable())
    service = world.services[name]
    victim = world.rng.choice(sorted(service.worker_pids()))
    os.kill(victim, signal.SIGSTOP)  # so that what it holds is what it takes with it
    world.windows.cut |= {(name, port) for port in clients_of(victim, service.port)}
    os.kill(victim, signal.SIGKILL)
    wait_for_workers(world, name, {victim})


def reload_service(world: World) -> None:
    name = world.rng.choice(world.strikeable())
    service = world.services[name]
    old = set(service.worker_pids())
    service.signal(signal.SIGHUP)
    wait_for_workers(world, name, old)


def wait_for_workers(world: World, name: str, gone: set[int]) -> None:
    """Until the service has all its workers again, none of them one of the old."""
    service = world.services[name]

    def replaced() -> bool:
        with suppress(OSError):
            pids = service.worker_pids()
            ready = [pid for pid in pids if accepts(pid, service.port)]
            return len(pids) == len(ready) == world.workers[name] and not gone & set(pids)
        return False

    wait_until(replaced, UNTIL_REPLACED, f"new workers of {name}")


def clients_of(pid: int, port: int) -> set[int]:
    """The ports of the clients whose connections to this port a worker holds."""
    held = links(pid)
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    mine = [line for line in lines if line[1].endswith(f":{port:04X}") and f"socket:[{line[9]}]" in held]
    return {int(line[2].rpartition(":")[2], 16) for line in mine}


def links(pid: int) -> list[str]:
    """What the open files of a process are."""
    found = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(path.readlink()))
    return found


KINDS = [
    Kind("Redis killed and restarted", kill_redis, frozenset({REDIS}), slack=6),
    Kind("Redis frozen for 8 s", freeze_redis, frozenset({REDIS}), slack=6),
    Kind("Redis cuts the subscriptions", cut_subscriptions),
    Kind("notifications dropped", send_notifications("dropped"), slack=6),
    Kind("notifications doubled", send_notifications("doubled")),
    Kind("notifications garbled", send_notifications("garbled")),
    Kind("notifications for other jobs", send_notifications("for other jobs")),
    Kind("notifications of 1 MB", send_notifications("1 MB")),
    Kind("supervisor stopped and restarted", stop_supervisor, frozenset({SUPERVISOR, READS})),
    Kind("supervisor frozen", freeze_supervisor, frozenset({SUPERVISOR, READS})),
    Kind("idle upstream connections dropped", drop_idle_connections, frozenset({SUPERVISOR, READS, GATEWAY})),
    Kind("reads: 500", fail_reads(Reply(500, {})), frozenset({READS})),
    Kind("reads: 502", fail_reads(Html(502)), frozenset({READS})),
    Kind("reads: HTML", fail_reads(Html(200)), frozenset({READS})),
    Kind("reads: half a body", fail_reads(HalfBody()), frozenset({READS})),
    Kind("reads: dripping", fail_reads(Drip(0.05)), frozenset({READS}), slack=6),
    Kind("answers to creates lost", lose_answers_to_creates, frozenset({SUPERVISOR}), slack=6),
    Kind("gateway failing", fail_gateway, frozenset({GATEWAY})),
    Kind("worker killed (SIGKILL)", kill_worker, frozenset({WORKER}), strikes=True),
    Kind("graceful reload (SIGHUP)", reload_service, strikes=True),
]


class Faults(threading.Thread):
    """Fires one fault after the other, all kinds in turn and each turn in another order."""

    def __init__(self, world: World, gap: tuple[float, float], complain: Callable[[str], None]) -> None:
        super().__init__(name="soak-faults", daemon=True)
        self._world, self._gap, self._complain = world, gap, complain
        self._began = time.monotonic()

    def run(self) -> None:
        for kind in self._turns():
            self._world.pause(*self._gap)
            if self._world.stop.is_set():
                return
            print(f"{time.monotonic() - self._began:7.1f} s  {kind.name}", flush=True)
            try:
                kind.carry_out(self._world)
            except Exception as error:  # noqa: BLE001 - told, and counted as a loss
                self._complain(f"the fault {kind.name!r} could not be fired or healed: {error!r}")

    def _turns(self) -> Iterator[Kind]:
        while True:
            turn = list(KINDS)
            self._world.rng.shuffle(turn)
            yield from (kind for kind in turn if not kind.strikes or self._world.strikeable())


@contextmanager
def world_of(
    windows: Windows, make: Callable[[str], SoakTheEye], kinds: dict[str, int], rng: random.Random
) -> Iterator[World]:
    """Everything started, and stopped at the end; a service that does not stop is a failure."""
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
