"""Test that no customer sees another's job, by any id, key or cache, also if TheEye's own checks fail."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.processes import Redis, Service, wait_until
from support.theeye import ACME, BETA, TASK, Reply, Session, StandIn
from support.world import World, over_http
from werkzeug import Response

TOKENS = {"acme": "tok-acme", "beta": "tok-beta"}
COLLEAGUE = Session(ACME.customer_id, ACME.customer, user_id="5e00000000000000000000a2", username="eve")


@pytest.fixture(scope="module")
def shared_theeye(redis_server: Redis) -> Iterator[StandIn]:
    with StandIn(redis_url=redis_server.url) as standin:
        standin.tokens["tok-colleague"] = COLLEAGUE
        yield standin


@pytest.fixture(scope="module")
def gunicorn_settings(redis_server: Redis) -> dict[str, object]:
    return {"redis_url": redis_server.url, "wait_seconds": 20}


@pytest.fixture
def world(gunicorn: Service, its_theeye: StandIn, redis_server: Redis) -> World:
    redis_server.client().flushdb()
    return World(its_theeye, over_http(gunicorn.url))


GUARDED = "61f3e937c38201da80f96c99"  # its short history is known from the first request on


def run(
    world: World, customer: str, token: str = "", query: str = "?full", task: str = TASK, **headers: str
) -> Response:
    return world.ask("POST", f"/{customer}/task/{task}/job{query}", token or TOKENS[customer], b"[1]", **headers)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("customer", ["acme", ACME.customer_id, "ACME", "beta", BETA.customer_id])
@pytest.mark.parametrize("spelling", [str.lower, str.upper])
def test_anothers_job_cannot_be_had_by_its_id(spelling: Any, customer: str, method: str, world: World) -> None:
    world.theeye.task(delay=None)
    job_id = run(world, "acme", query="?wait=0").headers["X-Job-Id"]
    got = world.ask(method, f"/{customer}/task/{spelling(TASK)}/job/{spelling(job_id)}?full", "tok-beta")
    assert (got.status_code, got.get_json()["code"]) in [(403, "EORACC"), (404, "ENOTFOUND")]
    assert "lifecycle" not in got.get_data(as_text=True)
    assert world.theeye.calls_of("cancel") == []


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("change", [{"customer_id": ACME.customer_id}, {"task_id": GUARDED}])
def test_a_document_that_is_anothers_is_not_shown_even_if_theeye_shows_it(
    change: dict[str, str], method: str, world: World
) -> None:
    job_id = run(world, "beta").headers["X-Job-Id"]
    world.theeye.fault("read", Reply(200, world.theeye.jobs[job_id] | change))
    got = world.ask(method, f"/beta/task/{TASK}/job/{job_id}?full", "tok-beta")
    assert (got.status_code, got.get_json()["message"]) == (404, "Job not found")
    assert job_id not in got.get_data(as_text=True)
    assert world.theeye.calls_of("cancel") == []


@pytest.mark.parametrize(("customer", "token"), [("beta", "tok-beta"), ("acme", "tok-colleague")])
def test_an_idempotency_key_of_another_customer_or_user_is_another_key(customer: str, token: str, world: World) -> None:
    first = run(world, "acme", Idempotency_Key="same")
    second = run(world, customer, token, Idempotency_Key="same")
    assert second.status_code == 200
    assert "Idempotency-Replayed" not in second.headers
    assert second.headers["X-Job-Id"] != first.headers["X-Job-Id"]
    again = run(world, "acme", Idempotency_Key="same")
    assert (again.headers["X-Job-Id"], again.headers["Idempotency-Replayed"]) == (first.headers["X-Job-Id"], "true")


def test_redis_is_told_no_token_no_key_no_argument_and_no_output(world: World, redis_server: Redis) -> None:
    world.theeye.task(GUARDED, output=["secret-output"], history=1)
    run(world, "acme", query="?secret-argument=1&parse", task=GUARDED, Idempotency_Key="secret-key")
    client = redis_server.client()
    stored = [(key, client.hgetall(key)) for key in client.scan_iter("*", _type="HASH")]
    assert [sorted(record) for _, record in stored] == [[b"creating", b"fingerprint", b"job", b"owner", b"until"]]
    told = repr(stored)
    for secret in ("tok-acme", "secret", ACME.customer_id, GUARDED, "access_token"):
        assert secret not in told


def test_ids_that_are_made_up_leave_nothing_in_redis(world: World, redis_server: Redis) -> None:
    for number in range(3):
        assert run(world, "acme", task=f"{'f' * 500}{number}").status_code == 400
    client = redis_server.client()
    runs_before = "theeye-sync:durations:*"  # how long they took is written in the background
    wait_until(lambda: {*client.scan_iter("*")} <= {*client.scan_iter(runs_before)}, 20, "an empty Redis")


def test_50_callers_of_two_customers_are_not_mixed_up(world: World) -> None:
    def one(number: int) -> tuple[int, str]:
        customer = ("acme", "beta")[number % 2]
        got = run(world, customer)
        return got.status_code, got.get_json()["customer_id"]

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(one, range(100)))
    assert answers == [(200, (ACME, BETA)[number % 2].customer_id) for number in range(100)]


def test_crossed_tokens_are_refused_while_both_sessions_are_known(world: World) -> None:
    def one(number: int) -> int:
        customer, token = ("acme", "beta")[number % 2], ("tok-beta", "tok-acme")[number // 2 % 2]
        return run(world, customer, token).status_code

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(one, range(100)))
    assert answers == [403 if number % 4 in (0, 3) else 200 for number in range(100)]


def test_anothers_notification_about_the_same_id_is_only_a_hint(world: World) -> None:
    world.theeye.task(delay=None)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(run, world, "acme")
        [job_id] = world.theeye.wait_for_jobs(1)
        wait_until(
            lambda: world.theeye.publish(job_id, channel=f"{BETA.customer_id}:job-finished:{job_id}") > 0, 5, "a reader"
        )
        world.theeye.wait_for_calls("read", 1)
        assert not waiting.done()
        world.theeye.finish(job_id)
        got = waiting.result(10)
    assert (got.status_code, got.get_json()["customer_id"]) == (200, ACME.customer_id)
    assert all(call.headers["authorization"] == "Bearer tok-acme" for call in world.theeye.calls_of("read"))


def test_a_customer_who_queues_holds_up_no_other(world: World) -> None:
    world.theeye.task(GUARDED, delay=None, history=1)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(run, world, "acme", task=GUARDED)
        [job_id] = world.theeye.wait_for_jobs(1)
        queued = run(world, "acme", query="?wait=1", task=GUARDED)
        other = run(world, "beta", query="?wait=0", task=GUARDED)
        world.theeye.finish(job_id)
        assert first.result(10).status_code == 200
    assert (queued.status_code, queued.get_json()["code"]) == (503, "EHISTORY")
    assert (other.status_code, other.get_json()["code"]) == (504, "ETIMEISUP")


def test_one_customers_answers_name_no_other(world: World) -> None:
    run(world, "acme")
    others = [run(world, customer, "tok-acme") for customer in ("beta", "gamma")]
    for got in (*others, world.ask("GET", "/readyz?full", "tok-beta")):
        told = got.get_data(as_text=True) + str(got.headers)
        for secret in (BETA.customer_id, ACME.customer_id, "tok-"):
            assert secret not in told
