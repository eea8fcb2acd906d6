"""Test that no caller takes all connections to TheEye, and no customer all request slots."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from time import monotonic

import pytest
from flask import Flask
from support.client import error_of, post
from support.theeye import ACME, TASK, Call, Session, Silence, StandIn
from support.world import World

from app import Services
from app.theeye import server, transport
from app.theeye.shares import Names, Shares, ShareTaken

CONNECTIONS = transport.CONNECTIONS
OTHER = "61f3e937c38201da80f96c55"


def target(task: str, customer: str = "acme", query: str = "") -> str:
    return f"/{customer}/task/{task}/job{query}"


@pytest.fixture(autouse=True)
def fewer_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a quarter of the connections: each hanging call is a thread here."""
    for module in (transport, server):
        monkeypatch.setattr(module, "CONNECTIONS", CONNECTIONS // 4)


@contextmanager
def unanswered(
    app: Flask, theeye: StandIn, kind: str, calls: int, *requests: tuple[str, str], arrive: int
) -> Iterator[None]:
    """Let requests (target and token) wait for TheEye, which does not answer them; `arrive` of them arrive."""
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
    "hanging",
    [
        [(target(TASK), "tok-acme")],
        [(target(TASK), "tok-acme"), (target("1" * 24), "tok-acme"), (target("2" * 24), "tok-acme")],
        [(target(TASK), name) for name in ("tok-a", "tok-bb", "tok-ccc")],
        [(target(TASK), "tok-acme"), (target(TASK, "beta"), "tok-beta")],
    ],
    ids=["one caller and task", "one caller", "one task", "two customers"],
)
def test_calls_that_theeye_never_answers_leave_the_others_theirs(
    hanging: list[tuple[str, str]], make_app: Callable[..., Flask], theeye: StandIn
) -> None:
    colleagues(theeye, "tok-a", "tok-bb", "tok-ccc", "tok-healthy")
    theeye.tokens["tok-gamma"] = Session("5e0000000000000000000003", "gamma")
    for path, _ in hanging:
        theeye.task(path.split("/")[3])
    theeye.task(OTHER)
    app = make_app(call_timeout=60)
    healthy = [(target(OTHER), "tok-healthy"), (target(OTHER, "gamma"), "tok-gamma")]
    for path, token in (*hanging, *healthy):  # the sessions and the tasks are known
        assert post(app.test_client(), path, Authorization=f"Bearer {token}").status_code == 200
    with unanswered(app, theeye, "create", 70, *hanging, arrive=len(hanging) + 2 + 7):
        for path, token in healthy * 2:
            assert post(app.test_client(), path, Authorization=f"Bearer {token}").status_code == 200


@pytest.mark.settings(call_timeout=60)
def test_lookups_that_the_gateway_never_answers_leave_the_others_theirs(app: Flask, theeye: StandIn) -> None:
    known = app.test_client()
    assert post(known).status_code == 200
    strangers = [(target(TASK, f"c{number}"), f"tok-{number}") for number in range(35)]
    with unanswered(app, theeye, "profile", 35, *strangers, arrive=1 + 28):
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


ACME_NAMES: Names = (("acme", None), ("ada", "acme"), ("task", "acme"), ("ada's task", "ada"))


@pytest.mark.parametrize(
    ("other", "most"),
    [
        ([{}], 28),
        ([{"ada's task": f"t{n}", "task": f"t{n}"} for n in range(300)], 56),
        ([{"ada": f"c{n}", "ada's task": f"c{n}t"} for n in range(300)], 56),
        ([{name: f"{name}{n}" for name in ("ada", "task", "ada's task")} for n in range(300)], 112),
        ([{name: f"{name}{n}" for name in ("acme", "ada", "task", "ada's task")} for n in range(8)], 224),
    ],
    ids=["one caller and task", "one caller", "one task", "one customer", "eight customers"],
)
def test_a_name_holds_half_of_what_the_others_leave(other: list[dict[str, str]], most: int) -> None:
    shares, held = Shares(256), 0
    paths = [tuple((each.get(str(n), n), each.get(str(a), a)) for n, a in ACME_NAMES) for each in other]
    with ExitStack() as stack:
        for number in range(600):
            with suppress(ShareTaken):
                shares.take(paths[number % len(paths)], 0.0)
                stack.callback(shares.give_back, paths[number % len(paths)])
                held += 1
        assert most / 2 <= held <= most
        shares.take((("new", None),), 0.0)
        shares.give_back((("new", None),))
    assert not shares._used


def test_those_who_queue_get_theirs_in_turn() -> None:
    shares, order = Shares(1), list[str]()

    def wait(name: str, number: int) -> None:
        shares.take(((name, None),), monotonic() + 20)
        order.append(f"{name}{number}")
        shares.give_back(((name, None),))

    with ThreadPoolExecutor(3) as pool:
        shares.take((("a", None),), 0.0)
        for number, name in enumerate(("b", "b", "c")):
            pool.submit(wait, name, number)
            while sum(map(len, shares._queues.values())) <= number:
                threading.Event().wait(0.001)
        with pytest.raises(ShareTaken):
            shares.take((("d", None),), 0.0)
        shares.give_back((("a", None),))
    assert order == ["b0", "c2", "b1"]
    assert not shares._used
    assert not shares._queues


def test_a_call_without_a_connection_starts_nothing(world: World, services: Services, theeye: StandIn) -> None:
    job_id, calls = world.start(), len(theeye.calls)
    for each in (services.supervisor, services.sessions._gateway):
        each._shares, each._call_timeout = Shares(0), 0.1
    for got in (
        world.ask("POST", target(TASK), "tok-new"),
        world.post(),
        world.ask("POST", target(OTHER)),
        world.get(job_id),
        world.delete(job_id),
    ):
        error = error_of(got, 503, "EBUSY")
        assert "too many calls of this caller, task or customer are under way" in error["message"]
        assert got.headers["Retry-After"] == "1"
        assert (error["job"]["id"] == job_id) if "job" in error else "nothing was started" in error["message"]
    assert len(theeye.calls) == calls


@pytest.mark.settings(call_timeout=60)
def test_who_queues_has_time_left_for_the_call(world: World, services: Services) -> None:
    class Noted(Shares):
        def take(self, names: Names, deadline: float) -> None:
            left.append(deadline - monotonic())
            super().take(names, deadline)

    left: list[float] = []
    services.supervisor._shares = Noted(256)
    assert world.post().status_code == 200
    assert left
    assert max(left) <= 30
