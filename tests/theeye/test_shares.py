"""Nobody takes all connections to TheEye, and no customer all slots."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic

import pytest
from flask import Flask
from support.client import error_of, post
from support.theeye import ACME, TASK, Call, Session, Silence, StandIn

from app import Services
from app.theeye.shares import Shares, ShareTaken

OTHER = "61f3e937c38201da80f96c55"


def target(task: str, customer: str = "acme", query: str = "") -> str:
    return f"/{customer}/task/{task}/job{query}"


@contextmanager
def unanswered(
    app: Flask, theeye: StandIn, kind: str, calls: int, *requests: tuple[str, str], arrive: int
) -> Iterator[None]:
    """Have so many requests (target and token) wait for TheEye, which does not answer them but holds `arrive`."""
    hanging = {token for _, token in requests}
    tasks = {path.split("/")[3] for path, _ in requests}

    def hangs(call: Call) -> bool:
        of_task = kind == "profile" or call.path.split("/")[3] in tasks
        return call.headers["authorization"].removeprefix("Bearer ") in hanging and of_task

    theeye.fault(kind, Silence(), when=hangs)
    with ThreadPoolExecutor(calls) as pool:
        for number in range(calls):
            path, token = requests[number % len(requests)]
            pool.submit(post, app.test_client(), path, Authorization=f"Bearer {token}")
        theeye.wait_for_calls(kind, arrive)
        yield
        theeye.stop()  # ends them


def colleagues(theeye: StandIn, *names: str) -> None:
    for name in names:
        theeye.tokens[name] = Session(ACME.customer_id, ACME.customer, f"5e00000000000000000000{len(name):02x}", name)


@pytest.mark.parametrize(
    ("hanging", "arrive"),
    [
        ([(target(TASK), "tok-acme")], 64),
        ([(target(TASK), "tok-acme"), (target("1" * 24), "tok-acme"), (target("2" * 24), "tok-acme")], 96),
        ([(target(TASK), name) for name in ("tok-a", "tok-bb", "tok-ccc")], 96),
        ([(target(str(n) * 24), name) for n, name in enumerate(("tok-a", "tok-bb", "tok-ccc"))], 128),
    ],
    ids=["one caller and task", "one caller", "one task", "one customer"],
)
def test_calls_that_theeye_never_answers_leave_the_others_theirs(
    hanging: list[tuple[str, str]], arrive: int, make_app: Callable[..., Flask], theeye: StandIn
) -> None:
    colleagues(theeye, "tok-a", "tok-bb", "tok-ccc", "tok-healthy")
    for path, _ in hanging:
        theeye.task(path.split("/")[3])
    theeye.task(OTHER)
    app = make_app(call_timeout=60)
    for token in {token for _, token in hanging}:  # the sessions are known
        assert post(app.test_client(), target(OTHER), Authorization=f"Bearer {token}").status_code == 200
    before = len(theeye.calls_of("create"))
    for path, token in hanging:
        assert post(app.test_client(), path, Authorization=f"Bearer {token}").status_code == 200
    with unanswered(app, theeye, "create", 140, *hanging, arrive=before + len(hanging) + arrive):
        assert len(theeye.calls_of("create")) == before + len(hanging) + arrive
        assert post(app.test_client(), target(TASK, "beta"), Authorization="Bearer tok-beta").status_code == 200
        if arrive < 128:
            assert post(app.test_client(), target(OTHER), Authorization="Bearer tok-healthy").status_code == 200


@pytest.mark.settings(call_timeout=60)
def test_lookups_that_the_gateway_never_answers_leave_the_others_theirs(app: Flask, theeye: StandIn) -> None:
    known = app.test_client()
    assert post(known).status_code == 200
    strangers = [(target(TASK, f"c{number}"), f"tok-{number}") for number in range(140)]
    with unanswered(app, theeye, "profile", 140, *strangers, arrive=1 + 128):
        assert post(known).status_code == 200
        services: Services = app.extensions["theeye_sync"]
        services.sessions._known["tok-acme"] = (services.sessions._known["tok-acme"][0], 0.0)
        assert post(known).status_code == 200, "a known token is asked about again at once"


@pytest.mark.settings(max_waiting=10, call_timeout=60)
def test_unknown_tokens_leave_a_slot(app: Flask, theeye: StandIn) -> None:
    assert post(app.test_client()).status_code == 200
    with unanswered(app, theeye, "profile", 9, *[(target(TASK), f"tok-{n}") for n in range(9)], arrive=1 + 9):
        error_of(post(app.test_client(), Authorization="Bearer tok-beta"), 503, "EBUSY")
        assert post(app.test_client()).status_code == 200


@pytest.mark.parametrize(("settings", "most"), [({}, 9), ({"max_waiting_customer": 2}, 2)])
def test_a_customer_has_so_many_slots(
    settings: dict[str, int], most: int, make_app: Callable[..., Flask], theeye: StandIn
) -> None:
    app = make_app(max_waiting=10, **settings)
    theeye.task(delay=None)
    with ThreadPoolExecutor(most) as pool:
        waiting = [pool.submit(post, app.test_client()) for _ in range(most)]
        job_ids = theeye.wait_for_jobs(most)
        theeye.task()
        error = error_of(post(app.test_client()), 503, "EBUSY")
        assert error["message"] == f"{most} requests of this customer are waiting already, nothing was started"
        assert post(app.test_client(), target(TASK, "beta"), Authorization="Bearer tok-beta").status_code == 200
        for job_id in job_ids:
            theeye.finish(job_id)
        assert [answer.result(20).status_code for answer in waiting] == [200] * most
    assert post(app.test_client()).status_code == 200


def test_a_share_goes_to_the_first_in_its_queue() -> None:
    shares, order = Shares(), list[str]()

    def wait(name: str) -> None:
        with shares.hold([("a", 1)], monotonic() + 20):
            order.append(name)

    with ThreadPoolExecutor(2) as pool, shares.hold([("a", 1), ("b", 1)], 0.0):
        for number, name in enumerate(("first", "second")):
            pool.submit(wait, name)
            while len(shares._queues.get("a", ())) <= number:
                threading.Event().wait(0.001)
        with pytest.raises(ShareTaken), shares.hold([("c", 1), ("b", 1)], monotonic() + 0.01):
            pass
    assert order == ["first", "second"]
    assert (shares._used, shares._queues) == ({}, {})
