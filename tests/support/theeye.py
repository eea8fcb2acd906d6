"""Simulate TheEye: a programmable gateway and supervisor, on real sockets inside the test process.

with StandIn() as theeye:
    theeye.task(output=['{"a":1}'], delay=0.2)
    theeye.fault("read", HalfBody(), times=1)
    ...
    assert len(theeye.calls_of("create")) == 1
"""

from __future__ import annotations

import itertools
import re
import resource
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar
from urllib.parse import parse_qsl, unquote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from support.faults import *  # noqa: F403 - a test imports from one place
from support.faults import Answer, Call, Connection, Exchange, Fault, Gate, dumps, stack
from support.jobs import (
    ACME,
    BETA,
    HEX_ID,
    KEPT,
    Job,
    Plan,
    Refused,
    Session,
    agent_result,
    created_document,
    find_arguments,
    find_options,
    find_token,
    finished_channel,
    notification,
)
from support.sockets import accept
from support.workflows import ADMIN, Workflow, Workflows
from support.workflows import ROUTES as WORKFLOW_ROUTES

TASK = "61f3e937c38201da80f96c27"
JOB = f"/acme/task/{TASK}/job"
ROUTES = [
    ("probe", "GET", re.compile(r"/api/status")),
    ("profile", "GET", re.compile(r"/api/session/profile")),
    ("create", "POST", re.compile(r"/(?P<customer>[^/]+)/task/(?P<task>[^/]+)/job")),
    ("task", "GET", re.compile(r"/(?P<customer>[^/]+)/task/(?P<task>[^/]+)")),
    ("tasks", "GET", re.compile(r"/(?P<customer>[^/]+)/task")),
    ("lifecycle", "GET", re.compile(r"/(?P<customer>[^/]+)/job/(?P<job>[^/]+)/lifecycle")),
    ("cancel", "PUT", re.compile(r"/(?P<customer>[^/]+)/job/(?P<job>[^/]+)/cancel")),
    ("read", "GET", re.compile(r"/(?P<customer>[^/]+)/job/(?P<job>[^/]+)")),
    *WORKFLOW_ROUTES,
]
KINDS = {*(kind for kind, _, _ in ROUTES), "any", "other"}
Found = TypeVar("Found")


class Publisher:
    """Publish in a thread of its own: a frozen Redis must not delay the ends of other jobs."""

    def __init__(self, url: str) -> None:
        # one retry: a restart of Redis breaks the connection
        retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
        pool = redis.BlockingConnectionPool.from_url(
            url, max_connections=50, timeout=10, socket_timeout=2, socket_connect_timeout=2, retry=retry
        )
        self._redis = redis.Redis.from_pool(pool)
        self._thread = ThreadPoolExecutor(1)

    def later(self, channel: str, payload: bytes) -> None:
        self._thread.submit(self.now, channel, payload)

    def now(self, channel: str, payload: bytes) -> int:
        """Publish a message, and return how many subscribers got it; an unreachable Redis is no error."""
        with suppress(redis.RedisError):
            return int(self._redis.publish(channel, payload))
        return 0

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)
        self._redis.close()


@dataclass
class Armed:
    """Hold a fault for the next calls of a kind."""

    kind: str
    fault: Fault
    left: int | None
    when: Callable[[Call], bool]

    def takes(self, call: Call) -> bool:
        is_its_kind = self.kind == call.kind or (self.kind == "any" and call.kind != "probe")
        return self.left != 0 and is_its_kind and self.when(call)


class Server:
    """Serve HTTP/1.1 with keep-alive, each connection in a thread."""

    def __init__(self, port: int, serve: Callable[[Connection, Call], bool], numbers: itertools.count[int]) -> None:
        self.gate = Gate()
        self._serve, self._numbers = serve, numbers
        self._changed = threading.Condition()
        self._connections: set[Connection] = set()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self._thread = threading.Thread(target=accept, args=(self._listener, self._run), daemon=True)
        self._thread.start()

    @property
    def connections(self) -> list[Connection]:
        with self._changed:
            return list(self._connections)

    def stop(self) -> None:
        """Stop listening, break the open connections, and wait until they have ended."""
        self.gate.set(stopped=True)
        self._listener.shutdown(socket.SHUT_RDWR)  # closing alone does not wake accept()
        self._thread.join(5)
        self._listener.close()
        for connection in self.connections:
            connection.hang_up()
        with self._changed:
            if not self._changed.wait_for(lambda: not self._connections, 10):
                raise RuntimeError(f"{len(self._connections)} connections do not end")

    def _run(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(next(self._numbers), sock, self.gate)
        with self._changed:
            self._connections.add(connection)
        try:
            with sock.makefile("rb") as stream:
                while (call := read_call(stream, connection)) and self._serve(connection, call):
                    pass
        finally:
            with self._changed:
                self._connections.discard(connection)
                self._changed.notify_all()


def read_call(stream: BinaryIO, connection: Connection) -> Call | None:
    """Return the next request, or None at the end of the connection."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    connection.busy()
    method, target, _ = line.decode("latin-1").split(" ", 2)
    headers = {}
    while header := stream.readline().decode("latin-1").rstrip("\r\n"):
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    length = int(headers.get("content-length", 0))
    body = stream.read(length)
    if len(body) < length:
        return None
    path, _, query = target.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    kind, names = find_route(method, path)
    return Call(kind, method, target, path, names, pairs, headers, body, time.monotonic(), connection.number)


def find_route(method: str, path: str) -> tuple[str, dict[str, str]]:
    """Return the kind of a call, and the customer, task and job in its path."""
    for kind, verb, pattern in ROUTES:
        if verb == method and (match := pattern.fullmatch(path)):
            return kind, {name: unquote(value) for name, value in match.groupdict().items()}
    return "other", {}


class StandIn(Workflows):
    """Simulate TheEye, with jobs, notifications and faults that a test chooses."""

    def __init__(self, redis_url: str = "", port: int = 0) -> None:
        self.port = port
        self.tokens: dict[str, Session] = {"tok-acme": ACME, "tok-admin": ADMIN, "tok-beta": BETA}
        self.knows_scopes = True  # False for an old gateway, which ignores scopes[]
        self.calls: list[Call] = []
        self.probes: list[Call] = []  # they arrive at any time, and are counted separately
        self._redis_url = redis_url
        self._changed = threading.Condition()
        self._jobs: dict[str, Job] = {}
        self._plans: dict[str, Plan] = {}
        self._workflow_plans: dict[str, Workflow] = {}
        self._armed: list[Armed] = []
        self._connection_numbers, self._job_numbers = itertools.count(1), itertools.count(1)
        self._server: Server | None = None
        self._held: socket.socket | None = None  # bound to the port: nobody else gets it after stop()
        self._publisher: Publisher | None = None
        self._closed = False
        self.task()

    # -- life ---------------------------------------------------------------------------------------

    def __enter__(self) -> StandIn:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen; after stop() on the same port, with the same jobs, tasks and faults."""
        raise_file_limit()
        if self._redis_url and not self._publisher:
            self._publisher = Publisher(self._redis_url)
        if not self._held:
            self._held = socket.socket()
            self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._held.bind(("127.0.0.1", self.port))
            self.port = self._held.getsockname()[1]
        if not self._server:
            self._server = Server(self.port, self._serve, self._connection_numbers)

    def stop(self) -> None:
        """Break connections and refuse new ones; jobs still end, but their ends are not published."""
        server, self._server = self._server, None
        if server:
            server.stop()

    def close(self) -> None:
        """Stop and free everything; no job ends any more, so that no workflow goes on and on."""
        self._closed = True
        self.stop()
        if self._held:
            self._held.close()
        publisher, self._publisher = self._publisher, None
        if publisher:
            publisher.close()

    def freeze(self) -> None:
        """Accept connections and record calls, but carry out and answer none until thawed; jobs still end."""
        self._running().gate.set(frozen=True)

    def thaw(self) -> None:
        self._running().gate.set(frozen=False)

    def drop_idle(self) -> int:
        """Close the connections that wait for a request; return their number."""
        return sum(connection.hang_up(only_idle=True) for connection in self._running().connections)

    @property
    def open_connections(self) -> int:
        return len(self._server.connections) if self._server else 0

    def _running(self) -> Server:
        if not self._server:
            raise RuntimeError("the stand-in is not running")
        return self._server

    # -- what a test programs -----------------------------------------------------------------------

    def task(
        self,
        task_id: str = TASK,
        *,
        delay: float | None = 0.0,
        early: bool = False,
        notify: bool = True,
        document: dict[str, Any] | None = None,
        raw: bytes | None = None,
        history: int | None = None,
        owner: Session | None = None,
        name: str = "Rest API Response",
        **ended: Any,
    ) -> None:
        """Set the outcome of this task's jobs that are created from now on.

        delay      seconds from the create to the end; None: when finish() says so
        early      the notification is published before the create is answered (delay 0 only)
        notify     False: the notification is lost
        document   the ended job as it is to be read; id, lifecycle and state are added if missing
        raw        the bytes to serve when the ended job is read
        history    delete the task's ended jobs beyond the newest so many at each create; None: never
        owner      whose task it is; a create of anybody's runs it, as TheEye does it. None: everybody's
        name       the task's, and its jobs'
        ended      fields of the ended job, such as `output` and `state`
        """
        if early and delay != 0:
            raise ValueError("early needs delay=0: a job is saved before its end is published")
        output = ended.get("output", ['{"name":"tomer"}'])
        usual = {"state": "success", "lifecycle": "finished", "result": agent_result(output), "output": output}
        plan = Plan(task_id, delay, usual | ended, document, raw, early, notify, history, owner, name)
        with self._changed:
            self._plans[task_id] = plan

    def fault(
        self, kind: str, fault: Fault, times: int | None = None, when: Callable[[Call], bool] = lambda _: True
    ) -> None:
        """Play a fault on the next `times` calls of a kind (None: on all); play the oldest of several first."""
        if kind not in KINDS:
            raise ValueError(f"no such kind of call: {kind}")
        with self._changed:
            self._armed.append(Armed(kind, fault, times, when))

    def heal(self) -> None:
        """Remove all faults."""
        with self._changed:
            self._armed.clear()

    def renew(self) -> None:
        """Reset the stand-in: no faults, no calls, no jobs, and one task."""
        self.heal()
        with self._changed:
            for known in (self.calls, self.probes, self._jobs, self._plans, self._workflow_plans):
                known.clear()
        self.task()

    def finish(self, job_id: str | None = None, **changes: Any) -> None:
        """End a job (None: the newest) as its task says, with changes, and publish it; a workflow goes on from it."""
        self._end(self._job(job_id), **changes)

    def change(self, job_id: str | None = None, **changes: Any) -> None:
        """Change a job's document only, for example lifecycle="assigned"."""
        job = self._job(job_id)
        with self._changed:
            job.document = job.document | changes

    def forget(self, job_id: str | None = None) -> None:
        """Delete a job, as the history limit does."""
        with self._changed:
            del self._jobs[self._job(job_id).id]

    def publish(
        self, job_id: str, channel: str | None = None, payload: str | bytes | None = None, times: int = 1
    ) -> int:
        """Publish a message at once, also about a job that does not exist; return how many subscribers got it."""
        if not self._publisher:
            raise RuntimeError("a stand-in without a Redis cannot publish")
        job = self._jobs.get(job_id)
        session = job.session if job else ACME
        topic, kind = (job.plan.topic, job.plan.job_type) if job else (Plan.topic, Plan.job_type)
        message = dumps(notification(session, job_id, topic, kind)) if payload is None else payload
        data = message.encode() if isinstance(message, str) else message
        channel = finished_channel(session, job_id, topic) if channel is None else channel
        return [self._publisher.now(channel, data) for _ in range(times)][-1]

    # -- what a test looks at -----------------------------------------------------------------------

    @property
    def jobs(self) -> dict[str, dict[str, Any]]:
        """Return the current documents of all jobs, the oldest first."""
        with self._changed:
            return {job_id: job.document for job_id, job in self._jobs.items()}

    def calls_of(self, kind: str) -> list[Call]:
        with self._changed:
            return [call for call in self.calls if call.kind == kind]

    def wait_for_calls(self, kind: str, count: int, timeout: float = 30.0) -> list[Call]:
        """Wait for a number of calls of a kind ("any" for all), and return them; a call counts when it has arrived."""
        calls = self.probes if kind == "probe" else self.calls
        return self._wait(lambda: [c for c in calls if kind in ("any", c.kind)], count, f"{kind} calls", timeout)

    def wait_for_jobs(self, count: int, timeout: float = 30.0) -> list[str]:
        """Wait for a number of jobs, and return their ids."""
        return self._wait(lambda: list(self._jobs), count, "jobs", timeout)

    def wait_for_ended(self, count: int, timeout: float = 30.0) -> list[str]:
        """Wait for a number of ended jobs, and return their ids."""
        return self._wait(lambda: [j.id for j in self._jobs.values() if j.has_ended], count, "ended jobs", timeout)

    def _wait(self, look: Callable[[], list[Found]], count: int, what: str, timeout: float) -> list[Found]:
        with self._changed:
            if not self._changed.wait_for(lambda: len(look()) >= count, timeout):
                raise AssertionError(f"{len(look())} {what} after {timeout} s, not {count}")
            return look()

    # -- the calls ----------------------------------------------------------------------------------

    def _serve(self, connection: Connection, call: Call) -> bool:
        with self._changed:
            (self.probes if call.kind == "probe" else self.calls).append(call)
            self._changed.notify_all()
        connection.gate.enter()
        fault = self._take_fault(call)
        exchange = Exchange(connection, call, self._handle)
        try:
            return fault.play(exchange) if fault else exchange.reply(exchange.carry_out())
        finally:
            exchange.finish()

    def _take_fault(self, call: Call) -> Fault | None:
        with self._changed:
            armed = next((armed for armed in self._armed if armed.takes(call)), None)
            if armed and armed.left:
                armed.left -= 1
            return armed.fault if armed else None

    def _handle(self, call: Call) -> Answer:
        try:
            handler: Callable[[Call], Answer] = getattr(self, f"_{call.kind}")
            return handler(call)
        except Refused as refused:
            return refused.answer

    def _other(self, call: Call) -> Answer:
        raise Refused(404, {"message": f"{call.path} not found", "statusCode": 404})

    _probe = _other

    def _profile(self, call: Call) -> Answer:
        session = self.tokens.get(find_token(call))
        if not session:
            raise Refused(401, stack(401, "Unauthorized"))
        scopes = [value for name, value in call.query if name == "scopes[]"]
        if not scopes or not self.knows_scopes:
            return Answer(body=dumps(session.long_form()))
        if "id" in scopes:
            self._running().gate.pause(None)  # as seen on a real one: it never answers
        return Answer(body=dumps(session.scopes_form(scopes)))

    def _enter(self, call: Call) -> tuple[Session, dict[str, str]]:
        """Return the caller's session and the names in the path, checked as the supervisor does."""
        session = self.tokens.get(find_token(call))
        if not session:
            raise Refused(401, "Unauthorized")
        names = call.names
        if names["customer"] not in {known.customer for known in [ACME, BETA, *self.tokens.values()]}:
            raise Refused(404, "organization not found")
        if names["customer"] != session.customer:
            raise Refused(409, {"statusCode": 409, "message": "session of another organization", "errors": []})
        return session, names

    def _find_plan(self, task_id: str) -> Plan:
        task_id = task_id.lower()
        if not HEX_ID.fullmatch(task_id):
            raise Refused(400, {"statusCode": 400, "message": "task id is invalid", "errors": []})
        if task_id not in self._plans:
            raise Refused(404, {"message": "task not found", "statusCode": 404})
        return self._plans[task_id]

    def _find_job(self, call: Call) -> Job:
        session, names = self._enter(call)
        if not HEX_ID.fullmatch(names["job"]):
            raise Refused(400, "job id is invalid")
        job = self._jobs.get(names["job"])
        if not job or job.session.customer_id != session.customer_id:
            raise Refused(404, "job not found")
        return job

    def _create(self, call: Call) -> Answer:
        session, names = self._enter(call)
        plan = self._find_plan(names["task"])
        options = find_options(call)
        job = self._add_job(session, plan, options.get("lifecycle", "ready"), find_arguments(call))
        answer = Answer(body=dumps(job.document))
        if options.get("wait_result") in (True, "true"):
            answer = Answer(303, headers={"Location": f"/{session.customer}/job/{job.id}"})
        self._start_job(job, answer)
        return answer

    def _add_job(
        self, session: Session, plan: Plan, lifecycle: str, arguments: list[Any], parent: Job | None = None
    ) -> Job:
        with self._changed:
            if parent is None and not isinstance(plan, Workflow):
                self._trim_history(plan)
            number = next(self._job_numbers)
            job_id = (plan.document or {}).get("id") or f"61f42186c38201da{number:08x}"
            job = Job(job_id, session, plan, parent=parent)
            job.document = created_document(job, number, lifecycle, arguments)
            self._jobs.pop(job_id, None)  # a document with an id of its own comes more than once
            self._jobs[job_id] = job
            self._changed.notify_all()
        return job

    def _trim_history(self, plan: Plan) -> None:
        jobs = [job for job in self._jobs.values() if job.plan.task_id == plan.task_id]
        ended = [job.id for job in jobs if job.document["lifecycle"] not in KEPT]
        for job_id in ended[: -plan.history or None] if plan.history is not None else []:
            del self._jobs[job_id]

    def _start_job(self, job: Job, answer: Answer) -> None:
        delay = job.plan.delay
        if delay is None or job.document["lifecycle"] != "ready":
            return
        if delay > 0:
            timer = threading.Timer(delay, self._end_if_running, [job])
            timer.daemon = True
            timer.start()
            return
        self._end(job, publish=False)
        if job.plan.early:
            self._tell_end(job, at_once=True)
        else:
            answer.after = lambda: self._tell_end(job)

    def _read(self, call: Call) -> Answer:
        job = self._find_job(call)
        return Answer(body=dumps(job.document) if job.raw is None else job.raw)

    def _lifecycle(self, call: Call) -> Answer:
        return Answer(body=dumps(self._find_job(call).document["lifecycle"]))

    def _task(self, call: Call) -> Answer:
        session, names = self._enter(call)
        plan = self._find_plan(names["task"])
        if plan.owner is not None and plan.owner.customer_id != session.customer_id:
            raise Refused(404, {"message": "task not found", "statusCode": 404})
        return Answer(body=dumps(plan.task_document()))

    def _tasks(self, call: Call) -> Answer:
        session, _ = self._enter(call)
        plans = [plan for plan in self._plans.values() if plan.owner in (None, session)]
        return Answer(body=dumps([plan.task_document() for plan in plans]))

    def _cancel(self, call: Call) -> Answer:
        job = self._find_job(call)
        with self._changed:
            canceled = job.cancel()
            self._changed.notify_all()
        return Answer(204, after=(lambda: self._tell_end(job)) if canceled else None)

    # -- the end of a job ---------------------------------------------------------------------------

    def _job(self, job_id: str | None) -> Job:
        with self._changed:
            return self._jobs[next(reversed(self._jobs)) if job_id is None else job_id]

    def _end_if_running(self, job: Job) -> None:
        if not job.has_ended and not self._closed:
            self._end(job)

    def _end(self, job: Job, publish: bool = True, **changes: Any) -> None:
        with self._changed:
            job.end(**changes)
            self._changed.notify_all()
        if publish:
            self._tell_end(job)

    def _tell_end(self, job: Job, at_once: bool = False) -> None:
        if isinstance(job.plan, Workflow):
            self._publish_change(job, "workflow-job-crud", at_once)
        self._publish_end(job, at_once)
        self._go_on(job)

    def _publish_end(self, job: Job, at_once: bool = False) -> None:
        self._publish_change(job, job.plan.topic, at_once)

    def _publish_change(self, job: Job, topic: str, at_once: bool = False, operation: str = "update") -> None:
        # it is the gateway that publishes: one that is down does not
        if not self._publisher or not self._server or not job.plan.notify:
            return
        send = self._publisher.now if at_once else self._publisher.later
        message = notification(job.session, job.id, topic, job.plan.job_type, operation)
        send(finished_channel(job.session, job.id, topic), dumps(message))


def raise_file_limit(wanted: int = 8192) -> None:
    """Raise the limit of open files: a test run holds both ends of hundreds of connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
