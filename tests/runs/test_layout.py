"""Test the data in Redis: an older version of the code and this one work side by side on it.

tests/data/redis_layout.json holds what commit BEFORE leaves in Redis, step by step. This code must leave the same, and
must go on from there. Where the clone has that commit, both also run at the same time; a shallow clone lacks it.
"""

import functools
import io
import itertools
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from redis import Redis as Client
from support.client import error_of
from support.load import Recorder
from support.processes import CHECKOUT, RawResponse, Redis, Service, wait_until
from support.redis_layout import GUARDED, RECORDED, job_ids, layout, messages, restore
from support.settings import environment
from support.theeye import CloseAfter, Held, Late, StandIn
from support.wire import run

BEFORE = "6bed629"
OTHER, KEEPS_FIVE = "61f3e937c38201da80f96c98", "61f3e937c38201da80f96c99"


class ServiceBefore(Service):
    """Run the service of commit BEFORE, with the packages that are installed now."""

    def __init__(self, tree: Path, env: dict[str, str], worker: str) -> None:
        classes = {"gevent": "app.gunicorn_greenlets.Worker", "gthread": "app.gunicorn_threads.Worker"}
        super().__init__(env | {"PYTHONPATH": str(tree)}, classes[worker])
        self._tree = tree

    def launch_only(self) -> None:
        self.launch(self._command, cwd=self._tree, env=self._env)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the code of commit BEFORE into a folder."""
    git = ["git", "-C", str(CHECKOUT), "archive", BEFORE, "app", "formatters", "wsgi.py", "gunicorn.conf.py"]
    archive = subprocess.run(git, capture_output=True) if shutil.which("git") else None
    if archive is None or archive.returncode != 0:
        pytest.skip(f"this clone lacks commit {BEFORE}: git fetch --unshallow")
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def redis_server() -> Iterator[Redis]:
    with Redis() as server:  # of its own: nothing stands in it but what these services leave
        yield server


@pytest.fixture(scope="module")
def theeye(redis_server: Redis) -> Iterator[Recorder]:
    with Recorder(redis_url=redis_server.url) as standin:
        yield standin


@pytest.fixture(scope="module")
def named(theeye: Recorder, redis_server: Redis, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Service]]:
    """Return each service that a test names, started once: "now" and "also now", "before" and "also before"."""
    env = environment(theeye, redis_url=redis_server.url, wait_seconds=30)
    with ExitStack() as stack:

        @functools.cache
        def start(name: str) -> Service:
            if "now" in name:
                return stack.enter_context(Service(env, "gthread" if "also" in name else "gevent"))
            tree = request.getfixturevalue("tree")
            return stack.enter_context(ServiceBefore(tree, env, "gevent" if "also" in name else "gthread"))

        yield start


@pytest.fixture
def now(named: Callable[[str], Service]) -> Service:
    return named("now")


@pytest.fixture
def before(named: Callable[[str], Service]) -> Service:
    return named("before")


@pytest.fixture
def client(redis_server: Redis, theeye: Recorder) -> Iterator[Any]:
    """Empty Redis and reset TheEye; return a client of Redis."""
    theeye.renew()
    with Client.from_url(redis_server.url, decode_responses=True) as client:
        client.flushall()
        yield client


def post(service: Service, key: str | None = None, query: str = "?color=red", **more: Any) -> RawResponse:
    return run(service, key, query, **more)


# -- what is left in Redis ----------------------------------------------------------------------------------------


def steps(first: Service, second: Service, theeye: StandIn, client: Any) -> dict[str, Any]:
    """Return what Redis has after each step of two requests to a task that keeps one job, each to its own service."""
    seen: dict[str, Any] = {}
    theeye.task(delay=None, history=1)
    theeye.fault("create", held := Held(), times=1)
    with ThreadPoolExecutor(2) as pool, client.pubsub() as pubsub:
        pubsub.psubscribe("theeye-sync:*")
        one = pool.submit(post, first, "first")
        assert held.arrived.wait(10)
        seen["a create is under way"] = layout(client)
        held.released.set()
        wait_until(lambda: bool(job_ids(client)), 10, "the job's id")
        seen["a job runs"] = layout(client)
        theeye.task(delay=0, history=1)
        other = pool.submit(post, second, "second")
        wait_until(lambda: client.zcard(f"{GUARDED}:queue") == 1, 10, "a queue")
        seen["a request queues"] = layout(client)
        theeye.finish(job_ids(client)[0])
        assert [one.result().status, other.result().status] == [200, 200]
        seen["all is read"] = layout(client)
        seen["messages"] = messages(client, pubsub)
    client.flushall()
    theeye.fault("create", CloseAfter(), times=1)
    assert post(first, "lost").status == 504
    seen["a create's answer was lost"] = layout(client)
    return seen


@pytest.mark.parametrize(
    "pair", [("now", "also now"), ("before", "also before"), ("before", "now"), ("now", "before")], ids=" and ".join
)
def test_this_code_leaves_what_the_code_before_left(
    pair: tuple[str, str], named: Callable[[str], Service], theeye: Recorder, client: Any
) -> None:
    assert steps(named(pair[0]), named(pair[1]), theeye, client) == RECORDED


# -- this code goes on from there -----------------------------------------------------------------------------------


def test_a_key_of_the_code_before_is_joined(now: Service, theeye: Recorder, client: Any) -> None:
    theeye.task(delay=0, history=1)
    job = post(now).header("X-Job-Id")
    restore(client, RECORDED["a job runs"], job)
    got = post(now, "first")
    assert (got.status, got.header("X-Job-Id"), got.header("Idempotency-Replayed")) == (200, job, "true")
    error_of(post(now, "first", body=b"[2]"), 422, "EKEYREUSED")
    assert len(theeye.calls_of("create")) == 1


@pytest.mark.parametrize(
    ("state", "key", "code"),
    [
        ("a create is under way", "first", "ESTARTING"),
        ("a request queues", "second", "ESTARTING"),
        ("a create's answer was lost", "lost", "EOUTCOMEUNKNOWN"),
    ],
)
def test_a_key_of_the_code_before_without_a_job_starts_none(
    state: str, key: str, code: str, now: Service, theeye: Recorder, client: Any
) -> None:
    restore(client, RECORDED[state])
    error_of(post(now, key, "?color=red&wait=0"), 409, code)
    assert theeye.calls_of("create") == []


def test_a_job_of_the_code_before_is_protected_until_its_lease_ends(
    now: Service, theeye: Recorder, client: Any
) -> None:
    theeye.task(delay=0, history=1)
    restore(client, RECORDED["a request queues"])
    error_of(post(now, query="?wait=1"), 503, "EHISTORY")
    assert theeye.calls_of("create") == []
    client.zadd(f"{GUARDED}:lease", dict.fromkeys(client.zrange(f"{GUARDED}:lease", 0, -1), 1))
    assert post(now).status == 200
    assert client.keys(f"{GUARDED}:*") == []


# -- both at the same time ------------------------------------------------------------------------------------------


def test_one_key_is_one_run(before: Service, now: Service, theeye: Recorder, client: Any) -> None:
    theeye.task(OTHER, delay=0.2)
    with ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(post, (before, now)[number % 2], "same", task=OTHER) for number in range(20)]
        answers = [call.result() for call in calls]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.header("X-Job-Id") for answer in answers}) == 1
    assert sum(answer.header("Idempotency-Replayed") is not None for answer in answers) == 19
    assert len(theeye.calls_of("create")) == 1


def test_a_guarded_task_loses_no_result(before: Service, now: Service, theeye: Recorder, client: Any) -> None:
    theeye.task(KEEPS_FIVE, delay=0, history=5)
    reads = itertools.count()
    theeye.fault("read", Late(0.2, all_of_it=True), when=lambda call: next(reads) % 2 == 0)

    def one(number: int) -> tuple[int, Any]:
        got = post((before, now)[number % 2], body=b"[%d]" % number, task=KEEPS_FIVE)
        return got.status, got.json()

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(one, range(100)))
    assert answers == [(200, [str(number)]) for number in range(100)]
