"""Test faults of the supervisor and the gateway while requests wait."""

import time
from collections.abc import Callable, Iterator

import pytest
from support.load import (
    CALL_SECONDS,
    Fleet,
    Recorder,
    argument_of,
    check,
    fleet,
    get,
    lateness,
    run,
    settle,
    why_not_time_is_up,
    why_not_unknown,
    why_wrong,
)
from support.processes import Redis, wait_until
from support.theeye import Call, CloseAfter, CloseBefore, Drip, HalfBody, Html, Reply, Reset, Silence, Stack, StandIn

from app.theeye.sessions import RETRY_SECONDS

Step = Callable[[StandIn], None]


def answer_500(theeye: StandIn) -> None:
    theeye.fault("any", Stack(500))


@pytest.fixture(scope="module")
def shared(redis_server: Redis) -> Iterator[tuple[Recorder, Fleet]]:
    with Recorder(redis_server.url) as theeye, fleet(theeye, redis_server.url, call_timeout=CALL_SECONDS) as services:
        services.warm()
        yield theeye, services


@pytest.fixture
def theeye(shared: tuple[Recorder, Fleet]) -> Iterator[Recorder]:
    yield shared[0]
    shared[0].heal()
    shared[0].task()


@pytest.fixture
def services(shared: tuple[Recorder, Fleet]) -> Fleet:
    return shared[1]


# -- reads -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begin", "end", "seconds", "words"),
    [
        (StandIn.stop, StandIn.start, 3, "supervisor down for 3 s, the jobs end meanwhile"),
        (StandIn.freeze, StandIn.thaw, 5, "supervisor frozen for 5 s, the jobs end meanwhile"),
        (answer_500, StandIn.heal, 3, "every call answered with 500 for 3 s, the jobs end meanwhile"),
    ],
    ids=["down", "frozen", "failing"],
)
def test_an_outage_while_the_jobs_end(
    begin: Step, end: Step, seconds: float, words: str, theeye: Recorder, services: Fleet
) -> None:
    theeye.task(delay=1.0)
    loads = services.park(200)
    begin(theeye)
    time.sleep(seconds)
    end(theeye)
    settle(words, theeye, loads)


ODD_READS = [Reply(500, {}), Html(502), Html(200), HalfBody(), Drip(1.0), Silence(5), CloseBefore(), Reset()]


def test_reads_that_fail_in_every_way(theeye: Recorder, services: Fleet) -> None:
    for share, fault in enumerate(ODD_READS):
        theeye.fault("read", fault, when=first_looks(share, len(ODD_READS)))
    theeye.task(delay=1.0)
    fault = "first look at the job: 500, 502, HTML, half a body, 1 byte/s, nothing for 5 s, closed, reset"
    settle(fault, theeye, services.send(200))


def first_looks(share: int, shares: int) -> Callable[[Call], bool]:
    """Return the first look at each job of a part of the jobs."""
    seen: set[str] = set()

    def is_first(call: Call) -> bool:
        job = call.path.rpartition("/")[2]
        if int(job, 16) % shares != share or job in seen:
            return False
        seen.add(job)
        return True

    return is_first


def test_supervisor_frozen_past_the_deadline(theeye: Recorder, services: Fleet) -> None:
    theeye.task(delay=None)
    before, asked = len(theeye.jobs), time.monotonic()
    loads = services.park(100, "wait=2")
    theeye.freeze()
    for job in list(theeye.jobs)[before:]:
        theeye.finish(job)
    settle("supervisor frozen past the deadline of 2 s: ETIMEISUP", theeye, loads, why_not_time_is_up, asked)
    theeye.thaw()


def test_a_warm_request_makes_two_calls(redis_server: Redis) -> None:
    """The services are new: they know the session for 30 s from their first request on, and the task for 60 s."""
    with Recorder(redis_server.url) as theeye, fleet(theeye, redis_server.url) as services:
        services.warm()
        theeye.task(delay=0.3)
        before = len(theeye.calls)
        settle("no fault: two calls to TheEye a request", theeye, services.send(100))
        kinds = [call.kind for call in theeye.calls[before:]]
    assert {kind: kinds.count(kind) for kind in kinds} == {"create": 200, "read": 200}


# -- creates ---------------------------------------------------------------------------------------------------

LOST = [CloseAfter(), HalfBody(), Reset(carried_out=True), Silence(carried_out=True), Drip(1.0)]


def test_creates_whose_answers_are_lost(theeye: Recorder, services: Fleet) -> None:
    for share, fault in enumerate(LOST):
        theeye.fault("create", fault, when=lambda call, share=share: int(argument_of(call)[1:]) % len(LOST) == share)
    asked = time.monotonic()
    loads = services.send(50)
    settle("the create's answer lost: EOUTCOMEUNKNOWN, no second create", theeye, loads, why_not_unknown, asked)


def test_creates_when_the_supervisor_is_down(theeye: Recorder, services: Fleet) -> None:
    services.warm()
    before = len(theeye.jobs)
    theeye.stop()
    asked = time.monotonic()
    got = {worker: load.all() for worker, load in services.send(100).items()}
    theeye.start()
    for worker, answers in got.items():
        right = [one for one in answers if (one.status, one.code) == (502, "ESUPERVISOR")]
        latest = max(one.at for one in answers) - asked
        check("supervisor down: ESUPERVISOR, nothing started", worker, 100, len(right), latest)
    assert len(theeye.jobs) == before
    services.warm()


def test_a_connection_that_was_just_closed_costs_no_create(theeye: Recorder, services: Fleet) -> None:
    theeye.task(delay=0.02)
    for worker, service in services.items():
        closed, right, latest = 0, 0, 0.0
        for _ in range(20):
            closed += theeye.drop_idle()
            got = run(service)
            right += not why_wrong(theeye, got)
            latest = max(latest, lateness(theeye, got))
            assert theeye.creates_by_argument()[got.argument] == 1
        check("kept-alive connections closed before each of 20 creates", worker, 20, right, latest)
        assert closed >= 20


# -- the gateway -----------------------------------------------------------------------------------------------


def test_gateway_down(redis_server: Redis) -> None:
    with (
        StandIn() as gateway,
        Recorder(redis_server.url) as theeye,
        fleet(theeye, redis_server.url, gateway_url=gateway.url, session_ttl=0.001) as services,
    ):
        services.warm()
        gateway.stop()
        theeye.task(delay=1.0)
        settle("gateway down, known sessions", theeye, services.send(100))
        for worker, service in services.items():
            before = len(theeye.calls_of("create"))
            new = [run(service, Authorization="Bearer tok-beta") for _ in range(5)]
            right = sum((got.status, got.code) == (502, "EGATEWAY") for got in new)
            check("gateway down, new sessions: EGATEWAY, nothing started", worker, 5, right, 0)
            assert len(theeye.calls_of("create")) == before
            wait_until(lambda at=service: "gateway" in str(get(at, "/readyz").body["degraded"]), 20, "told")
        gateway.start()
        services.warm()


def test_gateway_frozen(redis_server: Redis) -> None:
    call = CALL_SECONDS / 2
    with (
        StandIn() as gateway,
        Recorder(redis_server.url) as theeye,
        fleet(theeye, redis_server.url, gateway_url=gateway.url, session_ttl=0.001, call_timeout=call) as services,
    ):
        services.warm()
        gateway.freeze()
        for worker, service in services.items():
            began, asked = time.monotonic(), len(gateway.calls_of("profile"))
            right = sum(not why_wrong(theeye, run(service)) for _ in range(3))
            took = time.monotonic() - began
            check("gateway frozen, three requests of a known session in turn", worker, 3, right, took)
            calls = len(gateway.calls_of("profile")) - asked
            assert 1 <= calls <= 1 + int(took / RETRY_SECONDS), "only the first of them waits for the gateway"
