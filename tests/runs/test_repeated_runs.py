"""Test Idempotency-Key in the service: a caller who repeats a request never runs the task twice."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from support.client import close, error_of, post
from support.load import record
from support.processes import Redis, Service, free_port, wait_until
from support.redis_layout import job_ids
from support.settings import environment
from support.theeye import ACME, CloseAfter, Late, Reply, Session, StandIn
from support.tls import make_certificate
from support.wire import run

from app import Settings, create_app
from app.runs.history_limits import Limits

OTHER = "61f3e937c38201da80f96c99"


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
    theeye.renew()
    redis_server.client().flushall()
    theeye.task(output=['{"a":1}'])
    yield theeye
    theeye.heal()


def test_a_repeated_request_gets_the_same_answer_marked_and_read_again(services: list[Service], fresh: StandIn) -> None:
    first = run(services[0], "k1")
    assert first.header("Idempotency-Replayed") is None
    for service in services:
        again = run(service, "k1")
        assert (again.status, again.body) == (200, first.body)
        assert again.header("X-Job-Id") == first.header("X-Job-Id")
        assert again.header("Idempotency-Replayed") == "true"
        assert again.header("ETag") == first.header("ETag")
    assert len(fresh.calls_of("create")) == 1


def test_without_a_key_every_request_runs(services: list[Service], fresh: StandIn) -> None:
    assert run(services[0]).header("X-Job-Id") != run(services[0]).header("X-Job-Id")


def test_a_run_that_goes_on_is_joined_in_another_mode(services: list[Service], fresh: StandIn) -> None:
    fresh.task(output=['{"a":1}'], delay=None)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(run, services[0], "k1")
        [job_id] = fresh.wait_for_jobs(1)
        second = pool.submit(run, services[1], "k1", "?parse")
        fresh.wait_for_calls("read", 1)
        fresh.finish(job_id)
        assert first.result(30).json() == ['{"a":1}']
        assert second.result(30).json() == {"a": 1}
        assert second.result().header("X-Job-Id") == job_id


def test_many_at_the_same_moment_start_one_job(services: list[Service], fresh: StandIn) -> None:
    fresh.task(delay=0.2)
    barrier = threading.Barrier(20)

    def one(number: int) -> Any:
        barrier.wait(10)
        return run(services[number % 2], "same-moment")

    began = monotonic()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(one, range(20)))
    what = "20 requests with one Idempotency-Key at the same moment, to both services"
    record(what, "both", 20, len(answers), monotonic() - began)
    assert {answer.status for answer in answers} == {200}
    assert len({answer.header("X-Job-Id") for answer in answers}) == 1
    assert len(fresh.calls_of("create")) == 1
    assert sum(answer.header("Idempotency-Replayed") is not None for answer in answers) == 19


@pytest.mark.parametrize(
    "change", [{"body": b"[2]"}, {"query": "?a=1"}, {"task": OTHER}], ids=["body", "query", "task"]
)
def test_anything_else_under_the_same_key_is_422(
    change: dict[str, Any], services: list[Service], fresh: StandIn
) -> None:
    fresh.task(OTHER)
    assert run(services[0], "k1").status == 200
    error_of(run(services[1], "k1", **change), 422, "EKEYREUSED")
    assert len(fresh.calls_of("create")) == 1


def test_the_mode_and_the_wait_are_no_part_of_what_is_asked(services: list[Service], fresh: StandIn) -> None:
    first = run(services[0], "k1", query="?wait=5")
    assert run(services[0], "k1", query="?result&wait=7").header("X-Job-Id") == first.header("X-Job-Id")


def test_the_scope_is_the_user_and_not_the_token(services: list[Service], fresh: StandIn) -> None:
    mine = run(services[0], "k1")
    assert run(services[0], "k1", Authorization="Bearer tok-renewed").header("X-Job-Id") == mine.header("X-Job-Id")
    assert run(services[0], "k1", Authorization="Bearer tok-eve").header("X-Job-Id") != mine.header("X-Job-Id")


def test_a_create_that_theeye_refused_frees_the_key(services: list[Service], fresh: StandIn) -> None:
    fresh.fault("create", Reply(400, {"message": "no"}), times=1)
    assert run(services[0], "k1").status == 400
    assert run(services[0], "k1").status == 200
    assert run(services[0], "k1").header("Idempotency-Replayed") == "true"


def test_a_create_whose_answer_was_lost_is_never_run_again(services: list[Service], fresh: StandIn) -> None:
    fresh.fault("create", CloseAfter(), times=1)
    assert run(services[0], "k1").status == 504
    for service in services:
        error_of(run(service, "k1"), 409, "EOUTCOMEUNKNOWN")
    assert len(fresh.calls_of("create")) == 1


def test_a_job_that_is_gone_is_410(services: list[Service], fresh: StandIn) -> None:
    job_id = run(services[0], "k1").header("X-Job-Id")
    fresh.forget(job_id)
    gone = run(services[0], "k1")
    assert error_of(gone, 410, "EJOBGONE")["job"]["id"] == gone.header("X-Job-Id") == job_id


def test_a_run_whose_time_was_up_is_found_again(services: list[Service], fresh: StandIn) -> None:
    fresh.task(output=['{"a":1}'], delay=None)
    late = run(services[0], "k1", query="?wait=0")
    assert late.status == 504
    again = run(services[1], "k1", query="?wait=0")
    assert (again.status, again.header("X-Job-Id")) == (504, late.header("X-Job-Id"))
    fresh.finish(late.header("X-Job-Id"))
    assert run(services[1], "k1").json() == ['{"a":1}']


def test_only_the_jobs_id_is_stored_for_a_day(services: list[Service], fresh: StandIn, redis_server: Redis) -> None:
    run(services[0], "secret-key")
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
    assert run(services[0], key).status == 400
    assert fresh.calls_of("create") == []


def test_without_redis_the_header_is_refused(fresh: StandIn) -> None:
    with Service(environment(fresh)) as service:
        error_of(run(service, "k1"), 501, "ENOKEYS")
    assert fresh.calls_of("create") == []


def test_with_redis_down_it_is_503_and_nothing_is_created(fresh: StandIn) -> None:
    with Service(environment(fresh, redis_url="redis://127.0.0.1:1")) as service:
        refused = run(service, "k1")
        assert run(service).status == 200
    error_of(refused, 503, "EKEYSDOWN")
    assert refused.header("Retry-After")
    assert len(fresh.calls_of("create")) == 1


@pytest.fixture
def over_tls(redis_server: Redis, tmp_path: Path) -> str:
    """Yield the URL of the same Redis behind TLS."""
    (certificate, key), port = make_certificate(tmp_path), free_port()
    files = {"tls-cert-file": certificate, "tls-key-file": key, "tls-ca-cert-file": certificate}
    for name, value in {**files, "tls-auth-clients": "no", "tls-port": port}.items():
        redis_server.client().config_set(name, str(value))
    return f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}"


def test_a_first_burst_over_tls_opens_few_connections_and_is_answered(fresh: StandIn, over_tls: str) -> None:
    with Service(environment(fresh, redis_url=over_tls)) as service, ThreadPoolExecutor(60) as pool:
        answers = list(pool.map(partial(run, service), [f"burst-{number}" for number in range(60)]))
    assert [answer.status for answer in answers] == [200] * 60


def test_a_redis_that_forgets_during_a_run_is_told_again(
    services: list[Service], fresh: StandIn, redis_server: Redis
) -> None:
    fresh.task(output=['{"a":1}'], delay=None)
    client = redis_server.client()
    for number, service in enumerate(services, 1):
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(run, service, f"during-{number}")
            job_id = fresh.wait_for_jobs(number)[-1]
            wait_until(lambda job_id=job_id: job_id.encode() in job_ids(client), 20, "the key")
            client.flushall()
            client.client_kill_filter(_type="pubsub")  # as a restart does
            wait_until(lambda job_id=job_id: job_id.encode() in job_ids(client), 10, "the key again")
            fresh.finish(job_id)
            assert running.result(30).header("X-Job-Id") == job_id


def test_what_was_waited_for_the_first_request_is_waited_no_second_time(
    services: list[Service], fresh: StandIn
) -> None:
    fresh.task(delay=None)
    fresh.fault("create", Late(1.5, Reply(400, {"message": "no"})), times=1)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(run, services[0], "k1")
        fresh.wait_for_calls("create", 1)
        second = run(services[1], "k1", query="?wait=3")
        assert first.result().status == 400
    assert second.status == 504
    timing = dict(part.split(";dur=") for part in second.header("Server-Timing").split(", "))
    assert float(timing["wait"]) < 2700, "1.5 s of the three went by before"


def test_a_bug_right_after_the_create_leaves_the_key_with_its_job(
    fresh: StandIn, redis_server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(Settings(gateway_url=fresh.url, supervisor_url=fresh.url, redis_url=redis_server.url))
    client = app.test_client()
    assert post(client).status_code == 200, "the task is known"
    with monkeypatch.context() as broken:
        broken.setattr(Limits, "learn", lambda *_: 1 / 0)
        failed = post(client, Idempotency_Key="k-bug")
    assert (failed.status_code, failed.get_json()["code"]) == (500, "EINTERNAL")
    again = post(client, Idempotency_Key="k-bug")
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (200, "true")
    assert again.headers["X-Job-Id"] == failed.headers["X-Job-Id"]
    close(app)
