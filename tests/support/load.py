"""Send requests of many parallel clients, check each answer, and make a table of the results.

theeye = Recorder(...)                     a stand-in whose jobs print their own argument, and which records times
load = Load(service, 200)                  200 requests at once, each with an argument of its own
settle("Redis killed", theeye, loads)      waits for all answers, fails for a wrong one, adds a row to the table
"""

import itertools
import json
import os
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, TypeVar

from support.processes import RawResponse, Service, read_response
from support.processes import request_bytes as plain_request
from support.settings import environment
from support.theeye import JOB, Answer, Call, StandIn
from support.theeye import Job as StandInJob

WORKERS = ("gevent", "gthread")
CREATES = ("create", "workflow_create")
CALL_SECONDS = 2 if "DRILL_WAITS" in os.environ else 5  # for a call; 400 at once take longer on a busy machine
LATE = 20.0  # seconds; an answer later than this after its job's end is too late, also on a busy machine (half a wait)

Given = TypeVar("Given")
Made = TypeVar("Made")

_numbers = itertools.count(1)


class Recorder(StandIn):
    """Simulate TheEye with jobs that print their own argument, and record when each has ended."""

    def __init__(self, redis_url: str = "", port: int = 0) -> None:
        self.ended_at: dict[str, float] = {}
        self._answered: set[str] = set()
        super().__init__(redis_url, port)

    def wait_for_answered(self, arguments: Iterable[str], timeout: float = 40.0) -> None:
        """Wait until the creates with all these arguments were answered."""
        wanted = set(arguments)
        self._wait(lambda: list(wanted & self._answered), len(wanted), "answered creates", timeout)

    def creates_by_argument(self) -> Counter[str]:
        """Return how often each request's create has arrived, of a task or a workflow."""
        return Counter(argument_of(call) for kind in CREATES for call in self.calls_of(kind))

    def _start_job(self, job: StandInJob, answer: Answer) -> None:
        super()._start_job(job, answer)
        published = answer.after

        def after() -> None:
            with self._changed:
                self._answered.update(printed(job))
                self._changed.notify_all()
            if published:
                published()

        answer.after = after

    def _end(self, job: StandInJob, publish: bool = True, **changes: Any) -> None:
        ended = [job.id, *([job.parent.id] if job.parent else [])]  # a workflow's own ends with its last step
        self.ended_at.update(dict.fromkeys(ended, time.monotonic()))
        super()._end(job, publish, **({"output": printed(job)} | changes))


def printed(job: StandInJob) -> list[str]:
    """Return a job's output: the argument of its request."""
    return [str(argument) for argument in job.document["task_arguments_values"]]


def argument_of(call: Call) -> str:
    return str(call.json()["task_arguments"][0])


@dataclass(frozen=True)
class Got:
    """Hold the result of one request; `response` is None if the connection broke."""

    argument: str
    sent: float
    at: float
    response: RawResponse | None = None
    error: str = ""
    worker: str = ""
    port: int = 0  # the client's

    @property
    def status(self) -> int:
        return self.response.status if self.response else 0

    @property
    def job_id(self) -> str:
        return (self.response and self.response.header("X-Job-Id")) or ""

    @property
    def body(self) -> Any:
        """Return the body as JSON, or None if it is not JSON."""
        with suppress(ValueError):
            return self.response and self.response.json()

    @property
    def code(self) -> str:
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""


def request_bytes(
    argument: str = "x", query: str = "", method: str = "POST", target: str = JOB, **headers: str
) -> bytes:
    """Return the bytes of one request."""
    body = json.dumps({"task_arguments": [argument]}).encode() if method == "POST" else b""
    return plain_request(method, f"{target}?{query}" if query else target, body, **headers)


def ask(service: Service, data: bytes, argument: str = "", timeout: float = 60.0) -> Got:
    """Send one request, and return its result, also a failure."""
    sent = time.monotonic()
    try:
        return RawClient(service, data, argument, timeout).answer()
    except OSError as error:
        return Got(argument, sent, time.monotonic(), error=repr(error), worker=service.worker)


def run(service: Service, query: str = "", **headers: str) -> Got:
    """Run one task, and return the result."""
    argument = f"a{next(_numbers)}"
    return ask(service, request_bytes(argument, query, **headers), argument)


def get(service: Service, target: str) -> Got:
    return ask(service, request_bytes(method="GET", target=target), timeout=30)


class Load:
    """Send a number of requests at once, each in a thread."""

    def __init__(self, service: Service, count: int, query: str = "", target: str = JOB) -> None:
        self.arguments = [f"a{next(_numbers)}" for _ in range(count)]
        self._got: list[Got] = []
        given = [(service, argument, query, target) for argument in self.arguments]
        self._threads = [threading.Thread(target=self._run, args=each, daemon=True) for each in given]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        return len(self.arguments)

    @property
    def answered(self) -> int:
        return len(self._got)

    def all(self, timeout: float = 45.0) -> list[Got]:
        """Return all answers. Raise AssertionError if one does not arrive."""
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))
        missing = sum(thread.is_alive() for thread in self._threads)
        assert not missing, f"{missing} of {len(self)} requests without an answer after {timeout} s"
        return list(self._got)

    def _run(self, service: Service, argument: str, query: str, target: str) -> None:
        self._got.append(ask(service, request_bytes(argument, query, target=target), argument))


class RawClient:
    """Send a request, with a client that can close its connection."""

    def __init__(self, service: Service, data: bytes, argument: str = "", timeout: float = 60.0) -> None:
        self.sent = time.monotonic()
        self.sock = socket.create_connection(("127.0.0.1", service.port), timeout)
        self._argument, self._worker, self._port = argument, service.worker, self.sock.getsockname()[1]
        with suppress(OSError):  # the reader notices a broken connection
            self.sock.sendall(data)

    def leave(self, reset: bool = False) -> None:
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def read(self) -> RawResponse:
        """Return the response, and close the connection."""
        with self.sock:
            return read_response(self.sock)

    def answer(self) -> Got:
        """Return the response, or the reason why there is none."""
        response, error = None, ""
        try:
            response = self.read()
            error = "" if response.complete else "cut short"
        except (OSError, HTTPException) as failed:
            error = repr(failed)
        return Got(self._argument, self.sent, time.monotonic(), response, error, self._worker, self._port)


# -- right or wrong ------------------------------------------------------------------------------------------


def why_wrong(theeye: Recorder, got: Got) -> str:
    """Return what is wrong with an answer that should be the result of its own job; empty if nothing is."""
    return _why(got, 200, lambda body: body == [got.argument]) or _why_not_its_own(theeye, got)


def why_not_time_is_up(theeye: Recorder, got: Got) -> str:
    """Return what is wrong with an answer that should be ETIMEISUP with its own job."""
    wanted = ("ETIMEISUP", got.job_id)
    return _why(got, 504, lambda body: (body["code"], body["job"]["id"]) == wanted) or _why_not_its_own(theeye, got)


def why_not_unknown(theeye: Recorder, got: Got) -> str:
    """Return what is wrong with an answer that should be EOUTCOMEUNKNOWN."""
    return _why(got, 504, lambda body: body["code"] == "EOUTCOMEUNKNOWN")


def _why(got: Got, status: int, is_right: Callable[[Any], bool]) -> str:
    if got.error or not got.response:
        return f"{got.argument}: {got.error}"
    if got.status == status and is_right(got.body):
        return ""
    return f"{got.argument}: {got.status} {got.response.body[:200]!r}"


def _why_not_its_own(theeye: Recorder, got: Got) -> str:
    jobs = theeye.jobs
    job = next((job for job in jobs.values() if job.get("workflow_job_id") == got.job_id), jobs.get(got.job_id, {}))
    return "" if job.get("task_arguments_values") == [got.argument] else f"{got.argument}: not its own job"


@dataclass(frozen=True)
class Row:
    """Hold one row of the table."""

    fault: str
    worker: str
    in_flight: int
    right: int
    latest: float


ROWS: list[Row] = []


def record(fault: str, worker: str, in_flight: int, right: int, latest: float) -> None:
    """Add a row; `make drills` writes all rows into docs/reliability.md."""
    ROWS.append(Row(fault, worker, in_flight, right, latest))


def table(texts: Sequence[str], numbers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown, with the columns of text before those of numbers."""
    lines = [[*texts, *numbers], ["---"] * len(texts) + ["---:"] * len(numbers), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def check(fault: str, worker: str, in_flight: int, right: int, latest: float) -> None:
    """Add a row; raise AssertionError if an answer is wrong or too late."""
    record(fault, worker, in_flight, right, latest)
    assert right == in_flight, f"{worker}: {fault}"
    assert latest <= LATE, f"{worker}: {fault}"


def lateness(theeye: Recorder, got: Got) -> float:
    """Return the seconds from the end of a request's job to its answer."""
    return got.at - theeye.ended_at.get(got.job_id, got.at)


Judge = Callable[[Recorder, Got], str]


def settle(
    fault: str, theeye: Recorder, loads: Mapping[str, Load], judge: Judge = why_wrong, since: float | None = None
) -> None:
    """Check that every answer is right, that none came only at the end of its wait, and that each create was made once.

    Add the lateness of the latest answer to the table; count it from `since` if given.
    """
    for worker, load in loads.items():
        got = load.all()
        wrong = [why for answer in got if (why := judge(theeye, answer))]
        latest = max(answer.at - since if since else lateness(theeye, answer) for answer in got)
        record(fault, worker, len(load), len(got) - len(wrong), latest)
        assert not wrong, f"{worker}: {len(wrong)} of {len(got)} wrong, such as {wrong[:3]}"
        assert latest <= LATE, f"{worker}: the latest came {latest:.2f} s after its job's end"
    check_creates(theeye, loads)


def check_creates(theeye: Recorder, loads: Mapping[str, Load]) -> None:
    """Check that each request has made exactly one create."""
    counts = theeye.creates_by_argument()
    for worker, load in loads.items():
        several = {argument: counts[argument] for argument in load.arguments if counts[argument] != 1}
        assert not several, f"{worker}: creates {several}"


# -- a service of each kind ----------------------------------------------------------------------------------


class Fleet(dict[str, Service]):
    """Hold the service under each kind of worker, for a test with the same fault at the same time."""

    theeye: Recorder

    def send(self, count: int, query: str = "", target: str = JOB) -> dict[str, Load]:
        """Send a number of requests at once to each service."""
        return {worker: Load(service, count, query, target) for worker, service in self.items()}

    def park(self, count: int, query: str = "", target: str = JOB) -> dict[str, Load]:
        """Send a number of requests to each service, and return when all of them wait for their jobs."""
        loads = self.send(count, query, target)
        self.theeye.wait_for_answered(argument for load in loads.values() for argument in load.arguments)
        return loads

    def warm(self) -> None:
        """Send a first request to each service, so that it knows the session and has subscribed."""
        for got in [run(service) for service in self.values()]:
            assert got.status == 200, got


@contextmanager
def fleet(
    theeye: Recorder, redis_url: str = "", kinds: Sequence[str] = WORKERS, workers: int = 1, **settings: object
) -> Iterator[Fleet]:
    """Start both services at the same time, and stop them at the end."""
    settings = {"wait_seconds": 40, "max_waiting": 600, "redis_url": redis_url} | settings
    settings |= {"max_waiting_customer": settings["max_waiting"]}  # all callers belong to acme
    env = environment(theeye, **settings)
    with ExitStack() as stack:
        started = in_parallel(lambda kind: stack.push(start(env, kind, workers)), kinds)
        services = Fleet(zip(kinds, started, strict=True))
        services.theeye = theeye
        yield services
        stack.pop_all()
        in_parallel(put_away, started)


def start(env: Mapping[str, str], kind: str, workers: int, tries: int = 3) -> Service:
    """Start a service; try again if another process has taken its port meanwhile."""
    try:
        return Service(env, worker=kind, workers=workers).__enter__()
    except AssertionError as error:
        if tries == 1 or "Address already in use" not in str(error):
            raise
        return start(env, kind, workers, tries - 1)


def put_away(service: Service) -> None:
    """Kill a service, since its stop has tests of its own; print its log for a test that failed."""
    print(service.log_text())
    service.kill()
    service.close()


def in_parallel(action: Callable[[Given], Made], given: Iterable[Given]) -> list[Made]:
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(action, given))
