"""Test two instances behind one nginx, with one Redis: kill, stop and start one of them under load."""

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from support.host_checks import TOKEN, ask, check_logs, check_parallel_waits, check_seed_examples
from support.nginx import Nginx, Upstream
from support.proc import connections
from support.processes import RawResponse, Redis, Service, free_port, wait_until
from support.settings import environment
from support.theeye import ACME, TASK, StandIn

from app.waiter.redis_names import PREFIX

PARKED = "61f3e937c38201da80f96caa"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


# -- what nginx sends twice, and what not -------------------------------------------------------------------------


def test_a_post_goes_to_the_other_instance_only_where_it_was_not_sent() -> None:
    with Upstream(OK) as there, Nginx(free_port(), there.port) as nginx:
        answers = [ask(nginx.url, "/", method).status for method in ("POST", "GET") for _ in range(20)]
    assert answers == [200] * 40, "a refused connection costs nothing"
    assert len(there.heads) == 40


def test_a_post_is_never_sent_twice() -> None:
    with Upstream() as broken, Upstream(OK) as there, Nginx(broken.port, there.port) as nginx:
        answers = [ask(nginx.url, "/", "POST", b"{}") for _ in range(20)]
        posts = Counter(got.status for got in answers)
        assert {json.loads(got.body).get("code") for got in answers} == {"EOUTCOMEUNKNOWN", None}
        assert len(broken.heads) == posts[502] > 0
        assert len(there.heads) == posts[200] == 20 - posts[502]
        gets = [ask(nginx.url, "/").status for _ in range(20)]
        assert gets == [200] * 20, "what changes nothing may be asked again"
        assert len(there.heads) == posts[200] + 20
        assert len(broken.heads) > posts[502]


# -- two real ones ------------------------------------------------------------------------------------------------


@dataclass
class Pair:
    theeye: StandIn
    instances: tuple[Service, Service]
    nginx: Nginx
    redis: Any

    def upstreams(self, status: int) -> set[str]:
        """Return the last upstream of each answer with this status, from the access log."""
        lines = [line for line in self.nginx.access_log().splitlines() if f'" {status} ' in line]
        return {re.findall(r"127\.0\.0\.1:\d+", line)[-1] for line in lines}

    def keys_with_jobs(self) -> int:
        """Return how many idempotency keys know their job."""
        return sum(self.redis.hexists(key, "job") for key in self.redis.scan_iter(f"{PREFIX}:key:*"))


@pytest.fixture
def pair(theeye_redis: StandIn, redis_server: Redis) -> Iterator[Pair]:
    theeye_redis.task(PARKED, delay=None)
    redis = redis_server.client()
    redis.flushdb()
    env = environment(theeye_redis, redis_url=redis_server.url, proxies=1)
    with Service(env) as one, Service(env) as other, Nginx(one.port, other.port) as nginx:
        yield Pair(theeye_redis, (one, other), nginx, redis)


@dataclass
class Load:
    """Run callers, each with a token and a connection, who repeat a lost request with the same key."""

    pair: Pair
    answers: list[tuple[str, list[RawResponse]]] = field(default_factory=list)

    def count(self) -> int:
        return len(self.answers)

    def call(self, argument: str, token: str) -> None:
        body = json.dumps({"task_arguments": [argument]}).encode()
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": argument}
        got = []
        while not got or got[-1].status == 502:
            assert len(got) < 5, got
            got.append(ask(self.pair.nginx.url, f"/acme/task/{TASK}/job?wait=60", "POST", body, **headers))
        self.answers.append((argument, got))

    @contextmanager
    def running(self, callers: int = 6) -> Iterator[None]:
        self.pair.theeye.task(delay=0.1)
        stopping = threading.Event()
        with ThreadPoolExecutor(callers) as pool:
            loops = [pool.submit(self._loop, number, stopping) for number in range(callers)]
            try:
                yield
            finally:
                stopping.set()
        for loop in loops:
            loop.result()

    def _loop(self, caller: int, stopping: threading.Event) -> None:
        token = f"{TOKEN}-{caller}"
        self.pair.theeye.tokens[token] = ACME
        number = 0
        while not stopping.is_set():
            self.call(f"load-{caller}-{number}", token)
            number += 1

    def more(self, count: int) -> None:
        enough = self.count() + count
        wait_until(lambda: self.count() >= enough, 60, f"{count} more answers")


def park(pair: Pair, pool: ThreadPoolExecutor, number: int) -> Future[RawResponse]:
    body = json.dumps({"task_arguments": [f"parked-{number}"]}).encode()
    key = f"parked-{number}"
    return pool.submit(ask, pair.nginx.url, f"/acme/task/{PARKED}/job", "POST", body, Idempotency_Key=key)


def creates(pair: Pair) -> Counter[str]:
    """Return how often the job of each argument was created."""
    return Counter(json.loads(call.body)["task_arguments"][0] for call in pair.theeye.calls_of("create"))


def test_one_of_two_is_killed_and_started_again_under_load(pair: Pair) -> None:
    killed, kept = pair.instances
    load = Load(pair)
    with ThreadPoolExecutor(40) as pool:
        waits = {number: park(pair, pool, number) for number in range(20)}
        try:
            wait_until(lambda: pair.keys_with_jobs() == 20, 60, "the keys of 20 parked requests")
            held = sum(len(connections(pid, killed.port)) for pid in killed.worker_pids())
            with load.running():
                load.more(30)
                killed.kill()
                load.more(30)
                wait_until(lambda: len(finished(waits)) >= held, 30, "the answers to what was in the killed one")
                lost = finished(waits)
                again = {number: park(pair, pool, number) for number in lost}
                killed.__enter__()
                load.more(30)
                assert finished(waits) == lost, "what waits at the other instance goes on waiting"
        finally:
            for job_id, job in pair.theeye.jobs.items():
                if job["task_id"] == PARKED:
                    pair.theeye.finish(job_id, output=job["task_arguments_values"])
        answers = {number: wait.result(60) for number, wait in (waits | again).items()}

    assert 0 < len(lost) == held < 20
    assert {waits[number].result().status for number in lost} == {502}
    for number, got in answers.items():
        assert (got.status, json.loads(got.body)) == (200, [f"parked-{number}"])
        assert got.header("Idempotency-Replayed") == ("true" if number in lost else None)
    check_load(pair, load)
    assert pair.upstreams(502) == {f"127.0.0.1:{killed.port}"}, "only what was in the killed one was lost"
    check_logs(pair.nginx.directory, kept.directory, killed.directory)


def finished(waits: dict[int, Future[RawResponse]]) -> list[int]:
    """Return the callers that have their answer."""
    return [number for number, wait in waits.items() if wait.done()]


def check_load(pair: Pair, load: Load) -> None:
    """Check that each call got the answer of its own job once, except those whose create was in the killed instance."""
    created = creates(pair)
    assert max(created.values()) == 1, "no job was doubled"
    for argument, got in load.answers:
        repeated = len(got) > 1 and got[-1].status == 409
        if not repeated or json.loads(got[-1].body)["code"] not in ("EOUTCOMEUNKNOWN", "ESTARTING"):
            assert got[-1].status == 200, (argument, got[-1])
            job = pair.theeye.jobs[str(got[-1].header("X-Job-Id"))]
            assert job["task_arguments_values"] == [argument]


def test_one_of_two_is_stopped_and_started_again_under_load(pair: Pair) -> None:
    stopped, kept = pair.instances
    load = Load(pair)
    with load.running():
        load.more(30)
        stopped.terminate()
        assert stopped.wait() == 0
        load.more(30)
        stopped.__enter__()
        load.more(30)
    assert {len(got) for _, got in load.answers} == {1}, "nothing was lost, and nothing repeated"
    check_load(pair, load)
    assert pair.upstreams(200) == {f"127.0.0.1:{instance.port}" for instance in pair.instances}
    check_seed_examples(pair.nginx.url, pair.theeye)
    check_parallel_waits(pair.nginx.url, pair.theeye)
    check_logs(pair.nginx.directory, kept.directory, stopped.directory)
