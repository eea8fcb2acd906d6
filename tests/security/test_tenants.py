"""No customer sees another's job, by any id, key or cache, even where TheEye's own checks would not hold."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from support.processes import Redis, Service, wait_until
from support.theeye import ACME, BETA, TASK, Reply, Session, StandIn

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


@pytest.fixture(autouse=True)
def _emptied(redis_server: Redis) -> None:
    redis_server.client().flushdb()


GUARDED = "61f3e937c38201da80f96c99"  # its short history is known from the first request on


def ask(
    gunicorn: Service, method: str, path: str, token: str, query: str = "?full", **headers: str
) -> requests.Response:
    """One request of a connection of its own."""
    with requests.Session() as http:
        http.trust_env = False
        headers = {"Authorization": f"Bearer {token}", "Connection": "close"} | headers
        body = [1] if method == "POST" else None
        return http.request(method, f"{gunicorn.url}{path}{query}", json=body, headers=headers, timeout=30)


def run(
    gunicorn: Service, customer: str, token: str = "", query: str = "?full", task: str = TASK, **headers: str
) -> requests.Response:
    return ask(gunicorn, "POST", f"/{customer}/task/{task}/job", token or TOKENS[customer], query, **headers)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("customer", ["acme", ACME.customer_id, "ACME", "beta", BETA.customer_id])
@pytest.mark.parametrize("spelling", [str.lower, str.upper])
def test_anothers_job_cannot_be_had_by_its_id(
    spelling: Any, customer: str, method: str, gunicorn: Service, its_theeye: StandIn
) -> None:
    its_theeye.task(delay=None)
    job_id = run(gunicorn, "acme", query="?wait=0").headers["X-Job-Id"]
    cancels = len(its_theeye.calls_of("cancel"))
    got = ask(gunicorn, method, f"/{customer}/task/{spelling(TASK)}/job/{spelling(job_id)}", "tok-beta")
    assert (got.status_code, got.json()["code"]) in [(403, "EORACC"), (404, "ENOTFOUND")]
    assert "lifecycle" not in got.text
    assert len(its_theeye.calls_of("cancel")) == cancels


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("change", [{"customer_id": ACME.customer_id}, {"task_id": GUARDED}])
def test_a_document_that_is_anothers_is_not_shown_even_if_theeye_shows_it(
    change: dict[str, str], method: str, gunicorn: Service, its_theeye: StandIn
) -> None:
    job_id = run(gunicorn, "beta").headers["X-Job-Id"]
    its_theeye.fault("read", Reply(200, its_theeye.jobs[job_id] | change))
    cancels = len(its_theeye.calls_of("cancel"))
    got = ask(gunicorn, method, f"/beta/task/{TASK}/job/{job_id}", "tok-beta")
    assert (got.status_code, got.json()["message"]) == (404, "Job not found")
    assert job_id not in got.text
    assert len(its_theeye.calls_of("cancel")) == cancels


@pytest.mark.parametrize(("customer", "token"), [("beta", "tok-beta"), ("acme", "tok-colleague")])
def test_an_idempotency_key_of_another_customer_or_user_is_another_key(
    customer: str, token: str, gunicorn: Service, its_theeye: StandIn
) -> None:
    first = run(gunicorn, "acme", **{"Idempotency-Key": "same"})
    second = run(gunicorn, customer, token, **{"Idempotency-Key": "same"})
    assert second.status_code == 200
    assert "Idempotency-Replayed" not in second.headers
    assert second.headers["X-Job-Id"] != first.headers["X-Job-Id"]
    again = run(gunicorn, "acme", **{"Idempotency-Key": "same"})
    assert (again.headers["X-Job-Id"], again.headers["Idempotency-Replayed"]) == (first.headers["X-Job-Id"], "true")


def test_redis_is_told_no_token_no_key_no_argument_and_no_output(
    gunicorn: Service, its_theeye: StandIn, redis_server: Redis
) -> None:
    its_theeye.task(GUARDED, output=["secret-output"], history=1)
    run(gunicorn, "acme", query="?secret-argument=1&parse", task=GUARDED, **{"Idempotency-Key": "secret-key"})
    client = redis_server.client()
    stored = [(key, client.hgetall(key)) for key in client.scan_iter("*")]
    assert [sorted(record) for _, record in stored] == [[b"creating", b"fingerprint", b"job", b"owner", b"until"]]
    told = repr(stored)
    for secret in ("tok-acme", "secret", ACME.customer_id, GUARDED, "access_token"):
        assert secret not in told


def test_ids_that_are_made_up_leave_nothing_in_redis(
    gunicorn: Service, its_theeye: StandIn, redis_server: Redis
) -> None:
    for number in range(3):
        got = ask(gunicorn, "POST", f"/acme/task/{'f' * 500}{number}/job", "tok-acme")
        assert got.status_code == 400
    client = redis_server.client()
    wait_until(lambda: not list(client.scan_iter("*")), 20, "an empty Redis")


def test_50_callers_of_two_customers_are_not_mixed_up(gunicorn: Service, its_theeye: StandIn) -> None:
    def one(number: int) -> tuple[int, str]:
        customer = ("acme", "beta")[number % 2]
        got = run(gunicorn, customer)
        return got.status_code, got.json()["customer_id"]

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(one, range(100)))
    assert answers == [(200, (ACME, BETA)[number % 2].customer_id) for number in range(100)]


def test_crossed_tokens_are_refused_while_both_sessions_are_known(gunicorn: Service, its_theeye: StandIn) -> None:
    def one(number: int) -> int:
        customer, token = ("acme", "beta")[number % 2], ("tok-beta", "tok-acme")[number // 2 % 2]
        return run(gunicorn, customer, token).status_code

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(one, range(100)))
    assert answers == [403 if number % 4 in (0, 3) else 200 for number in range(100)]


def test_anothers_notification_about_the_same_id_is_only_a_hint(gunicorn: Service, its_theeye: StandIn) -> None:
    its_theeye.task(delay=None)
    with ThreadPoolExecutor(1) as pool:
        reads, known = len(its_theeye.calls_of("read")), len(its_theeye.jobs)
        waiting = pool.submit(run, gunicorn, "acme")
        [job_id] = its_theeye.wait_for_jobs(known + 1)[-1:]
        wait_until(
            lambda: its_theeye.publish(job_id, channel=f"{BETA.customer_id}:job-finished:{job_id}") > 0, 5, "a reader"
        )
        its_theeye.wait_for_calls("read", reads + 1)
        assert not waiting.done()
        its_theeye.finish(job_id)
        got = waiting.result(10)
    assert (got.status_code, got.json()["customer_id"]) == (200, ACME.customer_id)
    assert all(call.headers["authorization"] == "Bearer tok-acme" for call in its_theeye.calls_of("read")[reads:])


def test_a_customer_who_queues_holds_up_no_other(gunicorn: Service, its_theeye: StandIn) -> None:
    its_theeye.task(GUARDED, delay=None, history=1)
    with ThreadPoolExecutor(1) as pool:
        known = set(its_theeye.jobs)
        first = pool.submit(run, gunicorn, "acme", task=GUARDED)
        wait_until(lambda: bool(its_theeye.jobs.keys() - known), 10, "the first job")
        [job_id] = its_theeye.jobs.keys() - known
        queued = run(gunicorn, "acme", query="?wait=1", task=GUARDED)
        other = run(gunicorn, "beta", query="?wait=0", task=GUARDED)
        its_theeye.finish(job_id)
        assert first.result(10).status_code == 200
    assert (queued.status_code, queued.json()["code"]) == (503, "EHISTORY")
    assert (other.status_code, other.json()["code"]) == (504, "ETIMEISUP")


def test_one_customers_answers_name_no_other(gunicorn: Service, its_theeye: StandIn) -> None:
    run(gunicorn, "acme")
    for got in (
        run(gunicorn, "beta", "tok-acme"),
        ask(gunicorn, "GET", "/readyz", "tok-beta"),
        run(gunicorn, "gamma", "tok-acme"),
    ):
        assert BETA.customer_id not in got.text
        assert ACME.customer_id not in got.text
        assert "tok-" not in got.text + str(got.headers)
