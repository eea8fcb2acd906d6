"""The faults of the soak: each begins, lasts a while, and is healed again whatever happens."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from soak.books import GATEWAY, READS, REDIS, SUPERVISOR, WORKER
from soak.strikes import kill_worker, reload_service
from soak.world import World
from support.faults import CloseAfter, Drip, Fault, HalfBody, Html, Reply, Reset, Silence
from support.theeye import Call, StandIn


@dataclass(frozen=True)
class Kind:
    """A fault: what it can excuse, and for how many seconds after it was healed."""

    name: str
    fire: Callable[[World], None]
    touches: frozenset[str] = frozenset()
    slack: float = 2.0

    def chosen(self, world: World) -> Kind | None:
        """Return what is to be fired."""
        return self

    def carry_out(self, world: World) -> None:
        """Fire and heal it; the calls of that time may be excused by it."""
        with world.windows.open(self.name, self.touches, self.slack):
            self.fire(world)


@dataclass(frozen=True)
class Strike:
    """A fault of one service's processes, which are others afterwards."""

    name: str
    fire: Callable[[World, str], None]
    touches: frozenset[str] = frozenset()

    def chosen(self, world: World) -> Kind | None:
        """Return it against one of the services that may be struck at this moment; None where there is none."""
        services = world.strikeable()
        if not services:
            return None
        service = world.rng.choice(services)
        return Kind(self.name, lambda world: self.fire(world, service), self.touches)


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


KINDS: list[Kind | Strike] = [
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
    Strike("worker killed (SIGKILL)", kill_worker, frozenset({WORKER})),
    Strike("graceful reload (SIGHUP)", reload_service),
]


class Faults(threading.Thread):
    """Fires one fault after the other, all kinds in turn and each turn in another order."""

    def __init__(
        self,
        world: World,
        gap: tuple[float, float],
        complain: Callable[[str], None],
        kinds: Sequence[Kind | Strike] = KINDS,
    ) -> None:
        super().__init__(name="soak-faults", daemon=True)
        self._world, self._gap, self._complain, self._kinds = world, gap, complain, kinds
        self._began = time.monotonic()

    def run(self) -> None:
        for kind in self._turns():
            self._world.pause(*self._gap)
            if self._world.stop.is_set():
                return
            # chosen after the pause: what may be struck depends on the time
            if fault := kind.chosen(self._world):
                self._fire(fault)

    def _fire(self, fault: Kind) -> None:
        print(f"{time.monotonic() - self._began:7.1f} s  {fault.name}", flush=True)
        try:
            fault.carry_out(self._world)
        except Exception as error:  # noqa: BLE001 - told, and counted as a loss
            self._complain(f"the fault {fault.name!r} could not be fired or healed: {error!r}")

    def _turns(self) -> Iterator[Kind | Strike]:
        while True:
            turn = list(self._kinds)
            self._world.rng.shuffle(turn)
            yield from turn
