"""Idempotency-Key in the service: a caller who repeats a request never runs the task twice."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from typing import Any

import pytest
import requests
from support.faults import Answer, Exchange
from support.load import record
from support.processes import Redis, Service, wait_until
from support.settings import environment
from support.theeye import ACME, JOB, CloseAfter, Reply, Session, StandIn

from app import Settings, create_app
from app.runs.history import Limits


@pytest.fixture(scope="module")
def theeye(redis_server: Redis) -> Iterator[StandIn]:
    redis_server.client().flushall()
    with StandIn(redis_url=redis_server.url) as standin:
        standin.tokens["tok-renewed"] = ACME
        standin.tokens["tok-eve"] = Session(ACME.customer_id, ACME.customer, user_id="5e00000000000000000000e1")
        yield standin


@pytest.fixture(scope="module")
def services(theeye: StandIn, redis_server: Redis) -> Iterator[list[Service]]:
    env = environment(theeye, redis_url=redis_server.url, call_timeout=3)
    with Service(env, worker="gevent") as first, Service(env, worker="gthread") as second:
        yield [first, second]


@pytest.fixture
def fresh(theeye: StandIn, redis_server: Redis) -> Iterator[StandIn]:
    theeye.heal()
    redis_server.client().flushall()
    theeye.task(output=['{"a":1}'])
    yield theeye
    theeye.heal()


def post(service: Service, key: str | None = "k1", token: str = "tok-acme", query: str = "", body: Any = (1,)) -> Any:
    headers = {"Authorization": f"Bearer {token}", **({"Idempotency-Key": key} if key is not None else {})}
    return requests.post(f"{service.url}{JOB}{query}", json=list(body), headers=headers, timeout=60)


def test_a_repeated_request_gets_the_same_answer_marked_and_read_again(services: list[Service], fresh: StandIn) -> None:
    before = len(fresh.calls_of("create"))
    first = post(services[0])
    assert "Idempotency-Replayed" not in first.headers
    for service in services:
        again = post(service)
        assert (again.status_code, again.content) == (200, first.content)
        assert again.headers["X-Job-Id"] == first.headers["X-Job-Id"]
        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.headers["ETag"] == first.headers["ETag"]
    assert len(fresh.calls_of("create")) == before + 1


def test_without_a_key_every_request_runs(services: list[Service], fresh: StandIn) -> None:
    assert post(services[0], None).headers["X-Job-Id"] != post(services[0], None).headers["X-Job-Id"]


def test_a_run_that_goes_on_is_joined_in_another_mode(services: list[Service], fresh: StandIn) -> None:
    fresh.task(output=['{"a":1}'], delay=None)
    with ThreadPoolExecutor(2) as pool:
        known = len(fresh.jobs)
        first = pool.submit(post, services[0])
        job_id = fresh.wait_for_jobs(known + 1)[-1]
        reads = len(fresh.calls_of("read"))
        second = pool.submit(post, services[1], "k1", "tok-acme", "?parse")
        fresh.wait_for_calls("read", reads + 1)
        fresh.finish(job_id)
        assert first.result(30).json() == ['{"a":1}']
        assert second.result(30).json() == {"a": 1}
        assert second.result().headers["X-Job-Id"] == job_id


def test_many_at_the_same_moment_start_one_job(services: list[Service], fresh: StandIn) -> None:
    fresh.task(delay=0.2)
    before = len(fresh.calls_of("create"))
    barrier = threading.Barrier(20)

    def one(number: int) -> Any:
        barrier.wait(10)
        return post(services[number % 2], "same-moment")

    began = monotonic()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(one, range(20)))
    what = "20 requests with one Idempotency-Key at the same moment, to both services"
    record(what, "both", 20, len(answers), monotonic() - began)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.headers["X-Job-Id"] for answer in answers}) == 1
    assert len(fresh.calls_of("create")) == before + 1
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 19


@pytest.mark.parametrize("change", [{"body": (2,)}, {"query": "?a=1"}], ids=["another body", "another query"])
def test_anything_else_under_the_same_key_is_422(
    change: dict[str, Any], services: list[Service], fresh: StandIn
) -> None:
    assert post(services[0]).status_code == 200
    before = len(fresh.calls_of("create"))
    refused = post(services[1], **change)
    assert (refused.status_code, refused.json()["code"]) == (422, "EKEYREUSED")
    assert len(fresh.calls_of("create")) == before


def test_another_task_under_the_same_key_is_422(services: list[Service], fresh: StandIn) -> None:
    other = "61f3e937c38201da80f96c99"
    fresh.task(other)
    assert post(services[0]).status_code == 200
    headers = {"Authorization": "Bearer tok-acme", "Idempotency-Key": "k1"}
    got = requests.post(f"{services[0].url}/acme/task/{other}/job", json=[1], headers=headers, timeout=60)
    assert got.status_code == 422


def test_the_mode_and_the_wait_are_no_part_of_what_is_asked(services: list[Service], fresh: StandIn) -> None:
    first = post(services[0], query="?wait=5")
    assert post(services[0], query="?result&wait=7").headers["X-Job-Id"] == first.headers["X-Job-Id"]


def test_the_scope_is_the_user_and_not_the_token(services: list[Service], fresh: StandIn) -> None:
    mine = post(services[0])
    assert post(services[0], token="tok-renewed").headers["X-Job-Id"] == mine.headers["X-Job-Id"]
    assert post(services[0], token="tok-eve").headers["X-Job-Id"] != mine.headers["X-Job-Id"]


def test_a_create_that_theeye_refused_frees_the_key(services: list[Service], fresh: StandIn) -> None:
    fresh.fault("create", Reply(400, {"message": "no"}), times=1)
    assert post(services[0]).status_code == 400
    assert post(services[0]).status_code == 200
    assert post(services[0], body=(1,)).headers["Idempotency-Replayed"] == "true"


def test_a_create_whose_answer_was_lost_is_never_run_again(services: list[Service], fresh: StandIn) -> None:
    fresh.fault("create", CloseAfter(), times=1)
    before = len(fresh.calls_of("create"))
    assert post(services[0]).status_code == 504
    for service in services:
        again = post(service)
        assert (again.status_code, again.json()["code"]) == (409, "EOUTCOMEUNKNOWN")
    assert len(fresh.calls_of("create")) == before + 1


def test_a_job_that_is_gone_is_410(services: list[Service], fresh: StandIn) -> None:
    job_id = post(services[0]).headers["X-Job-Id"]
    fresh.forget(job_id)
    gone = post(services[0])
    assert (gone.status_code, gone.json()["code"]) == (410, "EJOBGONE")
    assert gone.json()["job"]["id"] == gone.headers["X-Job-Id"] == job_id


def test_a_run_whose_time_was_up_is_found_again(services: list[Service], fresh: StandIn) -> None:
    fresh.task(output=['{"a":1}'], delay=None)
    late = post(services[0], query="?wait=0")
    assert late.status_code == 504
    again = post(services[1], query="?wait=0")
    assert (again.status_code, again.headers["X-Job-Id"]) == (504, late.headers["X-Job-Id"])
    fresh.finish(late.headers["X-Job-Id"])
    assert post(services[1]).json() == ['{"a":1}']


def test_only_the_jobs_id_is_stored_for_a_day(services: list[Service], fresh: StandIn, redis_server: Redis) -> None:
    post(services[0], "secret-key")
    client = redis_server.client()
    names = [name for name in client.keys("*") if b":key:" in name]
    assert len(names) == 1
    assert b"secret-key" not in names[0]
    assert 23 * 3600 < client.ttl(names[0]) <= 24 * 3600
    record = client.hgetall(names[0])
    assert set(record) == {b"fingerprint", b"owner", b"until", b"creating", b"job"}
    assert record[b"job"].decode() in fresh.jobs


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", '""'])
def test_a_key_that_cannot_be_used_is_400(key: str, services: list[Service], fresh: StandIn) -> None:
    before = len(fresh.calls_of("create"))
    assert post(services[0], key).status_code == 400
    assert len(fresh.calls_of("create")) == before


def test_without_redis_the_header_is_refused(fresh: StandIn) -> None:
    env = environment(fresh)
    before = len(fresh.calls_of("create"))
    with Service(env, worker="gevent") as service:
        refused = post(service)
    assert (refused.status_code, refused.json()["code"]) == (501, "ENOKEYS")
    assert len(fresh.calls_of("create")) == before


def test_with_redis_down_it_is_503_and_nothing_is_created(fresh: StandIn) -> None:
    env = environment(fresh, redis_url="redis://127.0.0.1:1")
    before = len(fresh.calls_of("create"))
    with Service(env, worker="gevent") as service:
        refused = post(service)
        assert post(service, None).status_code == 200
    assert (refused.status_code, refused.json()["code"]) == (503, "EKEYSDOWN")
    assert refused.headers["Retry-After"]
    assert len(fresh.calls_of("create")) == before + 1


def test_a_redis_that_forgets_during_a_run_is_told_again(
    services: list[Service], fresh: StandIn, redis_server: Redis
) -> None:
    fresh.task(output=['{"a":1}'], delay=None)
    client = redis_server.client()
    for service in services:
        with ThreadPoolExecutor(1) as pool:
            known = len(fresh.jobs)
            running = pool.submit(post, service, f"during-{service.port}")
            job_id = fresh.wait_for_jobs(known + 1)[-1]
            wait_until(lambda job_id=job_id: job_id in kept(client), 20, "the key")
            client.flushall()
            client.client_kill_filter(_type="pubsub")  # as a restart does
            wait_until(lambda job_id=job_id: job_id in kept(client), 10, "the key again")
            fresh.finish(job_id)
            assert running.result(30).headers["X-Job-Id"] == job_id


def kept(client: Any) -> set[str]:
    """The job ids of all keys."""
    records = [client.hget(name, "job") for name in client.keys("theeye-sync:key:*")]
    return {record.decode() for record in records if record}


def test_what_was_waited_for_the_first_request_is_waited_no_second_time(
    services: list[Service], fresh: StandIn
) -> None:
    fresh.task(delay=None)
    fresh.fault("create", Refusal(1.5), times=1)
    with ThreadPoolExecutor(1) as pool:
        known = len(fresh.calls_of("create"))
        first = pool.submit(post, services[0])
        wait_until(lambda: len(fresh.calls_of("create")) > known, 20, "the first request's create")
        second = post(services[1], query="?wait=3")
        assert first.result().status_code == 400
    assert second.status_code == 504
    timing = dict(part.split(";dur=") for part in second.headers["Server-Timing"].split(", "))
    assert float(timing["wait"]) < 2700, "1.5 s of the three went by before"


@dataclass(frozen=True)
class Refusal:
    """A create that is refused, after a while."""

    seconds: float

    def play(self, exchange: Exchange) -> bool:
        exchange.connection.gate.pause(self.seconds)
        return exchange.reply(Answer(400, b'{"message":"no"}'))


def test_a_bug_right_after_the_create_leaves_the_key_with_its_job(
    fresh: StandIn, redis_server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(Settings(gateway_url=fresh.url, supervisor_url=fresh.url, redis_url=redis_server.url))
    client, headers = app.test_client(), {"Authorization": "Bearer tok-acme", "Idempotency-Key": "k-bug"}
    assert client.post(JOB, headers={"Authorization": "Bearer tok-acme"}).status_code == 200, "the task is known"
    with monkeypatch.context() as broken:
        broken.setattr(Limits, "learn", lambda *_: 1 / 0)
        failed = client.post(JOB, headers=headers)
    assert (failed.status_code, failed.get_json()["code"]) == (500, "EINTERNAL")
    again = client.post(JOB, headers=headers)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (200, "true")
    assert again.headers["X-Job-Id"] == failed.headers["X-Job-Id"]
