"""Run the faults of the soak: each begins, lasts for some time, and is removed at the end in any case."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass

from soak.books import GATEWAY, READS, REDIS, SUPERVISOR, WORKER
from soak.strikes import kill_worker, reload_service
from soak.world import World
from support.faults import CloseAfter, Drip, Fault, HalfBody, Html, Reply, Reset, Silence


@dataclass(frozen=True)
class Kind:
    """Describe a fault: what it can excuse, and for how many seconds after it was removed.

    One that `strikes` a service's processes, which are others afterwards, is told which service.
    """

    name: str
    fire: Callable[..., None]
    touches: Set[str] = frozenset()
    slack: float = 2.0
    strikes: bool = False


Step = Callable[[World], object]
Fire = Callable[[World], None]


def lasting(least: float, most: float, begin: Step, end: Step) -> Fire:
    """Return a fault that lasts some seconds."""

    def fire(world: World) -> None:
        begin(world)
        try:
            world.pause(least, most)
        finally:
            end(world)

    return fire


# -- Redis and the notifications -----------------------------------------------------------------------------


def cut_subscriptions(world: World) -> None:
    with world.redis.client() as client:
        for _ in range(5):
            client.client_kill_filter(_type="pubsub")
            world.pause(0.1, 0.5)


def send_notifications(how: str) -> Fire:
    def send(how: str) -> Step:
        return lambda world: setattr(world.theeye, "notifications", how)

    return lasting(3, 8, send(how), send("right"))


# -- the supervisor and the gateway --------------------------------------------------------------------------

LOST_ANSWERS: list[Fault] = [CloseAfter(), HalfBody(), Reset(True), Silence(6, carried_out=True), Html(200)]
NO_SESSIONS: list[Fault] = [Reply(500, {}), Html(502), Html(200), HalfBody()]


def drop_idle_connections(world: World) -> None:
    for _ in range(20):
        world.theeye.drop_idle()
        world.gateway.drop_idle()
        world.pause(0.05, 0.2)


def fail_reads(fault: Fault) -> Fire:
    def begin(world: World) -> None:
        share = world.rng.choice([0.3, 0.7, 1.0])
        for kind in ("read", "lifecycle", "workflow_jobs"):
            world.theeye.fault(kind, fault, when=lambda _: random.random() < share)

    return lasting(2, 5, begin, lambda world: world.theeye.heal())


def lose_answers(world: World) -> None:
    world.theeye.fault("create", world.rng.choice(LOST_ANSWERS), when=lambda _: random.random() < 0.2)


def refuse_sessions(world: World) -> None:
    world.gateway.fault("profile", world.rng.choice(NO_SESSIONS))


GATEWAY_FAILURES = [
    lasting(2, 6, lambda w: w.gateway.stop(), lambda w: w.gateway.start()),
    lasting(2, 6, lambda w: w.gateway.freeze(), lambda w: w.gateway.thaw()),
    lasting(2, 6, refuse_sessions, lambda w: w.gateway.heal()),
]
DOWN = {SUPERVISOR, READS}
KINDS = [
    Kind("Redis killed and restarted", lasting(1, 6, lambda w: w.redis.kill(), lambda w: w.redis.start()), {REDIS}, 6),
    Kind("Redis frozen for 8 s", lasting(8, 8, lambda w: w.redis.freeze(), lambda w: w.redis.thaw()), {REDIS}, 6),
    Kind("Redis cuts the subscriptions", cut_subscriptions),
    Kind("notifications dropped", send_notifications("dropped"), slack=6),
    Kind("notifications doubled", send_notifications("doubled")),
    Kind("notifications garbled", send_notifications("garbled")),
    Kind("notifications for other jobs", send_notifications("for other jobs")),
    Kind("notifications of 1 MB", send_notifications("of 1 MB")),
    Kind("supervisor restarted", lasting(1, 4, lambda w: w.theeye.stop(), lambda w: w.theeye.start()), DOWN),
    Kind("supervisor frozen", lasting(2, 7, lambda w: w.theeye.freeze(), lambda w: w.theeye.thaw()), DOWN),
    Kind("idle upstream connections dropped", drop_idle_connections, {SUPERVISOR, READS, GATEWAY}),
    Kind("reads: 500", fail_reads(Reply(500, {})), {READS}),
    Kind("reads: 502", fail_reads(Html(502)), {READS}),
    Kind("reads: HTML", fail_reads(Html(200)), {READS}),
    Kind("reads: half a body", fail_reads(HalfBody()), {READS}),
    Kind("reads: dripping", fail_reads(Drip(0.05)), {READS}, slack=6),
    Kind("answers to creates lost", lasting(1, 2, lose_answers, lambda w: w.theeye.heal()), {SUPERVISOR}, slack=6),
    Kind("gateway failing", lambda w: w.rng.choice(GATEWAY_FAILURES)(w), {GATEWAY}),
    Kind("worker killed (SIGKILL)", kill_worker, {WORKER}, strikes=True),
    Kind("graceful reload (SIGHUP)", reload_service, strikes=True),
]


class Faults(threading.Thread):
    """Start one fault after the other: all kinds in each round, in a random order."""

    def __init__(
        self,
        world: World,
        gap: tuple[float, float],
        complain: Callable[[str], None],
        kinds: Sequence[Kind] = KINDS,
    ) -> None:
        super().__init__(name="soak-faults", daemon=True)
        self._world, self._gap, self._complain, self._kinds = world, gap, complain, kinds
        self._began = time.monotonic()

    def run(self) -> None:
        for kind in self._turns():
            self._world.pause(*self._gap)
            if self._world.stop.is_set():
                return
            if not kind.strikes:
                self._fire(kind)
            elif services := self._world.strikeable():  # asked once: what may be struck depends on the time
                self._fire(kind, self._world.rng.choice(services))

    def _fire(self, fault: Kind, *service: str) -> None:
        """Start and remove a fault; it may excuse the calls of that time."""
        print(f"{time.monotonic() - self._began:7.1f} s  {fault.name}", flush=True)
        try:
            with self._world.windows.open(fault.name, fault.touches, fault.slack):
                fault.fire(self._world, *service)
        except Exception as error:  # noqa: BLE001 - told, and counted as a loss
            self._complain(f"the fault {fault.name!r} could not be fired or healed: {error!r}")

    def _turns(self) -> Iterator[Kind]:
        while True:
            turn = list(self._kinds)
            self._world.rng.shuffle(turn)
            yield from turn
