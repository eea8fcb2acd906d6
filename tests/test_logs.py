"""The log: one line for each request, in both forms, whatever a client sends; and no token anywhere."""

from __future__ import annotations

import io
import json
import logging
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from servers import CHECKOUT, Service, clean_environment, raw_request, wait_until
from standin import ACME, TASK, Reply, Stack, StandIn

from app import Settings, create_app, errors
from app.telemetry.access_log import LONGEST, json_line, text_line
from app.telemetry.redaction import JsonFormatter, RedactingFormatter, redacted, set_up
from app.telemetry.trace import Trace, begin, current, tokens, without

JOB = f"/acme/task/{TASK}/job"
FIELDS = [
    *("time", "level", "request_id", "method", "path", "customer", "task", "job", "mode", "status", "by", "code"),
    *("session", "queue", "create", "wait", "read", "format", "total", "client"),
]
PLUGIN = """
from formatters import Formatter, hookimpl


class Crashing(Formatter):
    name = "crash"
    queries = ("crash",)
    precedence = 150

    def format(self, context):
        raise ValueError("while reading " + context.job["output"][0] + "\\x1b[2J")


@hookimpl
def register_formatters():
    return [Crashing()]
"""


class World:
    """The service with its two streams apart, in front of a stand-in."""

    def __init__(self, service: Service, theeye: StandIn, errors: Path) -> None:
        self.service, self.theeye, self._errors = service, theeye, errors

    def ask(self, method: str, target: str, name: str = "", body: bytes = b"", **headers: str) -> int:
        """One request, its status; `name` becomes its id."""
        sent = {"Host": "x", "Content-Type": "application/json", "Authorization": "Bearer tok-acme"}
        sent |= {"X-Request-Id": name, "Content-Length": str(len(body))}
        sent |= {key.replace("_", "-"): value for key, value in headers.items()}
        lines = [f"{method} {target} HTTP/1.1", *(f"{key}: {value}" for key, value in sent.items() if value)]
        raw = ("\r\n".join([*lines, "", ""])).encode("latin-1") + body
        return raw_request("127.0.0.1", self.service.port, raw).status

    def lines_of(self, name: str) -> list[str]:
        """The lines on standard output that name a request."""
        return [line for line in self.service.log_text().splitlines() if name in line]

    def line_of(self, name: str) -> dict[str, Any]:
        wait_until(lambda: self.lines_of(name) != [], 20, "the line")
        [line] = self.lines_of(name)
        found = json.loads(line)
        assert list(found) == FIELDS
        assert isinstance(found, dict)
        return found

    def messages(self) -> str:
        return self._errors.read_text()


def serve(theeye: StandIn, home: Path, worker: str, form: str, **env: str) -> Service:
    plugin = home / "crashing.py"
    plugin.write_text(PLUGIN)
    env = {
        "SYNC_GATEWAY_URL": theeye.url,
        "SYNC_SUPERVISOR_URL": theeye.url,
        "SYNC_LOG": form,
        "SYNC_PLUGINS": str(plugin),
        **env,
    }
    args = ("--error-logfile", str(home / "errors"), "--log-level", "debug")
    return Service(env, worker=worker, args=args)


@pytest.fixture(scope="module", params=["gevent", "gthread"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("logs")
    with StandIn() as theeye, serve(theeye, home, request.param, "json") as service:
        yield World(service, theeye, home / "errors")


@pytest.fixture
def world(shared: World) -> World:
    shared.theeye.heal()
    shared.theeye.task(output=['{"a":1}'])
    return shared


def newest(world: World) -> str:
    return list(world.theeye.jobs)[-1]


# -- a request's line -----------------------------------------------------------------------------------


def test_the_line_of_an_answer(world: World) -> None:
    world.theeye.task(output=['{"a":1}'], delay=0.5)
    assert world.ask("POST", f"{JOB}?parse&access_token=", "r-answer", b"[1]", Authorization="") == 401
    assert world.ask("POST", f"{JOB}?parse", "r-good", b"[1]") == 200
    line = world.line_of("r-good")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(line.pop("time"))) < timedelta(minutes=1)
    times = {name: line.pop(name) for name in ("session", "create", "wait", "read", "format", "total")}
    assert line.pop("job") == newest(world)
    assert line == {
        "level": "INFO",
        "request_id": "r-good",
        "method": "POST",
        "path": JOB,
        "customer": "acme",
        "task": TASK,
        "mode": "parse",
        "status": 200,
        "by": "job",
        "code": None,
        "queue": None,
        "client": "127.0.0.1",
    }
    assert 0.1 < times["wait"] < times["total"]
    assert times["total"] >= sum(times.values()) - times["total"] - 0.001
    assert all(round(seconds, 4) == seconds for seconds in times.values())


@pytest.mark.parametrize(
    ("name", "method", "target", "expected"),
    [
        ("no-path", "GET", "/nothing/here?access_token=tok-acme", (404, "service", "ENOTFOUND", "INFO")),
        ("odd-segment", "POST", f"/./task/{TASK}/job", (404, "service", "ENOTFOUND", "INFO")),
        ("method", "PUT", JOB, (405, "service", "EMETHOD", "INFO")),
        ("preflight", "OPTIONS", JOB, (204, "service", None, "INFO")),
        ("bad-wait", "POST", f"{JOB}?wait=x", (400, "service", "EINVALID", "INFO")),
        ("customer", "POST", f"/beta/task/{TASK}/job", (403, "service", "EORACC", "INFO")),
        ("no-job", "GET", f"{JOB}/0123456789abcdef01234567", (404, "service", "ENOTFOUND", "INFO")),
        ("status", "GET", "/api/status", (200, "service", None, "INFO")),
        ("crash", "POST", f"{JOB}?crash", (502, "service", "EFORMATTER", "WARNING")),
    ],
)
def test_every_request_has_one_line(
    world: World, name: str, method: str, target: str, expected: tuple[int, str, str | None, str]
) -> None:
    assert world.ask(method, target, f"r-{name}") == expected[0]
    line = world.line_of(f"r-{name}")
    assert (line["status"], line["by"], line["code"], line["level"]) == expected
    assert line["path"] == target.partition("?")[0]


def test_who_made_the_status(world: World) -> None:
    world.theeye.task(output=["no"], state="failure")
    assert world.ask("POST", JOB, "r-job") == 500
    assert (world.line_of("r-job")["by"], world.line_of("r-job")["level"]) == ("job", "INFO")
    assert world.ask("POST", JOB, "r-none", Authorization="") == 401
    assert world.line_of("r-none")["by"] == "service"
    assert world.ask("POST", JOB, "r-unknown", Authorization="Bearer nobody") == 401
    assert world.line_of("r-unknown")["by"] == "theeye"
    world.theeye.fault("create", Reply(400, {"message": "no"}), times=1)
    assert world.ask("POST", JOB, "r-refused") == 400
    assert (world.line_of("r-refused")["by"], world.line_of("r-refused")["code"]) == ("theeye", None)
    world.theeye.fault("create", Stack(500), times=1)
    assert world.ask("POST", JOB, "r-failed") == 502
    line = world.line_of("r-failed")
    assert (line["by"], line["code"], line["level"]) == ("service", "ESUPERVISOR", "WARNING")
    assert line["create"] is not None
    assert line["job"] is line["wait"] is None


def test_a_job_that_takes_too_long(world: World) -> None:
    world.theeye.task(delay=None)
    assert world.ask("POST", f"{JOB}?wait=0.5", "r-late") == 504
    line = world.line_of("r-late")
    assert (line["code"], line["by"], line["level"]) == ("ETIMEISUP", "service", "WARNING")
    assert line["job"] == newest(world)
    assert line["wait"] > 0.05


def test_a_client_that_goes_has_a_line_too(world: World) -> None:
    world.theeye.task(delay=None)
    head = f"POST {JOB} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tok-acme\r\nX-Request-Id: r-gone\r\n"
    before = len(world.theeye.calls_of("create"))
    with socket.create_connection(("127.0.0.1", world.service.port)) as sock:
        sock.sendall(f"{head}Content-Length: 0\r\n\r\n".encode())
        world.theeye.wait_for_calls("create", before + 1)
    line = world.line_of("r-gone")
    assert (line["status"], line["code"], line["by"]) == (499, "ECLIENTGONE", "service")


def test_health_checks_have_a_line_only_when_they_fail(world: World) -> None:
    for path in ("/healthz", "/readyz"):
        assert world.ask("GET", path, "r-health") == 200
        assert world.ask("POST", path, f"r-405-{path[1:]}") == 405
    assert len(world.lines_of("r-405-")) == 2
    assert not world.lines_of("r-health")


def test_a_failure_has_one_traceback_with_its_request(world: World) -> None:
    world.theeye.task(output=["tok-acme"])
    assert world.ask("POST", f"{JOB}?crash", "r-traceback") == 502
    wait_until(lambda: "r-traceback" in world.messages(), 20, "the message")
    messages = [json.loads(line) for line in world.messages().splitlines()]
    [message] = [message for message in messages if message.get("request_id") == "r-traceback"]
    assert list(message) == ["time", "level", "logger", "pid", "message", "request_id", "traceback"]
    assert (message["level"], message["logger"]) == ("ERROR", "theeye_sync.formatters")
    assert "while reading ***\x1b[2J" in message["traceback"]
    world.line_of("r-traceback")


def test_expected_errors_have_no_message(world: World) -> None:
    before = world.messages().count("\n")
    world.theeye.fault("create", Stack(500), times=1)
    assert world.ask("POST", JOB, "r-expected") == 502
    world.line_of("r-expected")
    assert "Traceback" not in world.messages().split("\n", before)[-1]


def test_a_job_id_of_theeyes_stays_one_line(world: World) -> None:
    """The supervisor is trusted, but what it takes for an id may have come from elsewhere."""
    odd = {"id": "x\nFORGED\r\n[ERROR] y", "lifecycle": "finished", "state": "success", "output": ["1"]}
    for kind in ("create", "read"):
        world.theeye.fault(kind, Reply(200, odd | {"task_id": TASK}), times=1)
    assert world.ask("POST", f"{JOB}?crash", "r-odd-id") == 502
    assert world.line_of("r-odd-id")["job"] == odd["id"]
    [message] = [line for line in world.messages().splitlines() if "r-odd-id" in line]
    assert json.loads(message)["message"].endswith(f"failed on job {odd['id']}")


# -- the forms ------------------------------------------------------------------------------------------

ODD = "a b\n\r\x00\x1b[2J\x85\u2028\u202e\"'\\%=ñ\ud800"


def traced(customer: str) -> Trace:
    trace = Trace("r-1")
    trace.customer, trace.task, trace.job, trace.status, trace.secrets = customer, customer, customer, 200, ()
    return trace


def environ(path: str = "/x", **more: str) -> dict[str, Any]:
    return {"REQUEST_METHOD": "GET", "PATH_INFO": path, "REMOTE_ADDR": "127.0.0.1", **more}


@pytest.mark.parametrize("form", [text_line, json_line])
def test_nothing_can_end_a_line_or_steer_a_terminal(form: Callable[..., str]) -> None:
    path = ODD.encode("utf-8", "surrogatepass").decode("latin-1")
    line = form(traced(ODD), environ(path, REQUEST_METHOD="G\nET", REMOTE_ADDR="1\n2"), 1e9, 0.5)
    assert line.endswith("\n")
    assert re.fullmatch(r"[\x20-\x7e]+", line[:-1])
    if form is json_line:
        assert json.loads(line)["customer"] == ODD
    else:
        assert len(re.findall(r" customer=\S+ task=\S+ job=\S+ by=service client=1%0A2 request_id=r-1\n$", line)) == 1


@pytest.mark.parametrize("form", [text_line, json_line])
def test_lines_are_short(form: Callable[..., str]) -> None:
    line = form(traced("c" * 5000), environ("/" + "p" * 8000), 1e9, 0.5)
    assert len(line) < 4 * (LONGEST + 3) + 700
    assert "p" * (LONGEST - 1) + "..." in line
    longest = form(traced("😀" * 5000), environ("/" + "é" * 8000), 1e9, 0.5)
    assert len(longest) < 12 * 4 * (LONGEST + 3) + 700


def test_the_text_form() -> None:
    trace = Trace("r-1")
    trace.status, trace.secrets = 404, ()
    assert text_line(trace, environ("/a%20b"), 1e9 + 0.0126, 0.5) == (
        "2001-09-09T01:46:40.012Z INFO    404 GET      0.5000s /a%2520b by=service client=127.0.0.1 request_id=r-1\n"
    )


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/acme/task/s3cr3t/job", "/acme/task/***/job"),
        ("/a/s3%63r3t", "***"),
        ("/a/%73%33cr3t", "***"),
        ("/a/%2573%2533cr3t", "***"),
        ("/" + "p" * (LONGEST - 4) + "s3cr3t", "/" + "p" * (LONGEST - 4) + "***"),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_a_token_in_the_path_is_not_shown(path: str, shown: str, known: bool) -> None:
    trace = traced("x s3cr3t")
    trace.secrets = ("s3cr3t",) if known else None
    line = json.loads(json_line(trace, environ(path, HTTP_AUTHORIZATION="Bearer s3cr3t"), 1e9, 0.5))
    assert (line["path"], line["job"]) == (shown, "x ***")


@pytest.mark.parametrize(
    ("header", "query", "found"),
    [
        ("Bearer a", "", ("a",)),
        ("a", "", ("a",)),
        ("Basic a b", "", ("a", "b")),
        ("", "access_token=a&x=1&access_token=b%2Fc", ("a", "b/c")),
        ("Bearer z", "%61ccess_token=a", ("z", "a")),
        ("", "", ()),
    ],
)
def test_what_may_be_a_token(header: str, query: str, found: tuple[str, ...]) -> None:
    assert tokens({"HTTP_AUTHORIZATION": header, "QUERY_STRING": query}) == found


def test_an_empty_secret_hides_nothing() -> None:
    assert without(("", "b"), "abc") == "a***c"


# -- request ids ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["a", "A.b_c~d:e+f/g=h@i-1", "x" * 128])
def test_a_request_id_is_taken_over(given: str) -> None:
    trace = begin({"HTTP_X_REQUEST_ID": given, "HTTP_AUTHORIZATION": "Bearer tok-acme"})
    assert (trace.request_id, trace.headers) == (given, f"X-Request-Id: {given}\r\n")
    assert current() is trace


@pytest.mark.parametrize(
    "given", [None, "", "x" * 129, "a b", "a\r\nX: 1", "ñ", '"a"', "tok-acme", "1tok-acme2", "t/1"]
)
def test_a_request_id_that_cannot_be_used_is_made_anew(given: str | None) -> None:
    made = set()
    for _ in range(2):
        environ = {"HTTP_AUTHORIZATION": "Bearer tok-acme", "QUERY_STRING": "access_token=t%2F1"}
        trace = begin(environ if given is None else environ | {"HTTP_X_REQUEST_ID": given})
        assert re.fullmatch("[0-9a-f]{32}", trace.request_id)
        assert trace.headers == f"X-Request-Id: {trace.request_id}\r\n"
        made.add(trace.request_id)
    assert len(made) == 2


PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("parent", "state", "passed_on"),
    [
        (PARENT, None, f"traceparent: {PARENT}\r\n"),
        (PARENT, "a=1,b=2", f"traceparent: {PARENT}\r\ntracestate: a=1,b=2\r\n"),
        (PARENT, "a=1\r\nX: 1", f"traceparent: {PARENT}\r\n"),
        (PARENT, "a=tok-acme", f"traceparent: {PARENT}\r\n"),
        (PARENT, "a=" + "1" * 511, f"traceparent: {PARENT}\r\n"),
        (PARENT.upper(), "a=1", ""),
        (PARENT + "-01", "a=1", ""),
        ("ff" + PARENT[2:], None, ""),
        ("00-" + "0" * 32 + PARENT[35:], None, ""),
        (PARENT[:36] + "0" * 16 + "-01", None, ""),
        (PARENT + "\r\nX: 1", None, ""),
        (None, "a=1", ""),
    ],
)
def test_the_trace_context_goes_on_unchanged(parent: str | None, state: str | None, passed_on: str) -> None:
    given = {"HTTP_TRACEPARENT": parent, "HTTP_TRACESTATE": state, "HTTP_AUTHORIZATION": "Bearer tok-acme"}
    trace = begin({name: value for name, value in given.items() if value is not None})
    assert trace.headers == f"X-Request-Id: {trace.request_id}\r\n{passed_on}"


def test_every_call_to_theeye_carries_the_id(world: World) -> None:
    world.theeye.task("5e00000000000000000000f1", delay=0.3)
    path = "/acme/task/5e00000000000000000000f1/job"
    before = len(world.theeye.calls)
    new = world.theeye.tokens.setdefault("tok-fresh", ACME)  # so that the gateway is asked
    assert new is ACME
    sent = {"Authorization": "Bearer tok-fresh", "traceparent": PARENT, "tracestate": "a=1"}
    assert world.ask("POST", path, "r-calls", **sent) == 200
    calls = world.theeye.calls[before:]
    assert {call.kind for call in calls} == {"profile", "task", "create", "lifecycle", "read"}
    for call in calls:
        assert (call.headers["x-request-id"], call.headers["traceparent"]) == ("r-calls", PARENT)
        assert call.headers["tracestate"] == "a=1"
    job = newest(world)
    assert world.ask("DELETE", f"{path}/{job}", "r-delete") == 409
    assert world.theeye.calls[-1].headers["x-request-id"] == "r-delete"


def test_every_answer_carries_the_id(world: World) -> None:
    asked = [("OPTIONS", JOB), ("GET", "/nothing"), ("PUT", JOB), ("GET", "/healthz"), ("POST", JOB), ("GET", "/%2F")]
    for method, target in asked:
        head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\nX-Request-Id: r-back\r\n"
        got = raw_request("127.0.0.1", world.service.port, f"{head}Content-Length: 0\r\n\r\n".encode())
        assert [value for name, value in got.headers if name == "X-Request-Id"] == ["r-back"]
        exposed = got.header("Access-Control-Expose-Headers")
        assert method == "OPTIONS" or (exposed is not None and "X-Request-Id" in exposed)


# -- any host -------------------------------------------------------------------------------------------


@pytest.fixture
def flask(monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The application without a server, with a view that fails."""

    def fail(how: str) -> None:
        class Hopeless(errors.SyncError):
            def body(self) -> Any:
                raise RuntimeError("no body either")

        raise {"crash": RuntimeError("boom"), "hopeless": Hopeless("x"), "end": SystemExit(1)}[how]

    app = create_app(Settings(log="json"))
    app.add_url_rule("/fail/<how>", view_func=fail)
    return app


def test_a_bug_is_told_once(
    flask: Flask,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flask.extensions["theeye_sync"].waiter, "place", None)
    logging.getLogger("theeye_sync").addHandler(caplog.handler)
    try:
        got = flask.test_client().get("/fail/crash", headers={"X-Request-Id": "r-bug"})
        hopeless = flask.test_client().get("/fail/hopeless", headers={"X-Request-Id": "r-worse"})
        short = flask.test_client().post(JOB, headers={"X-Request-Id": "r-short"})
        long = flask.test_client().post(f"{JOB}/", headers={"X-Request-Id": "r-long"})
    finally:
        logging.getLogger("theeye_sync").removeHandler(caplog.handler)
    for answer, name in ((got, "r-bug"), (hopeless, "r-worse"), (short, "r-short"), (long, "r-long")):
        assert (answer.status_code, answer.json["code"]) == (500, "EINTERNAL")  # type: ignore[index]
        assert answer.headers["X-Request-Id"] == name
    assert len(caplog.records) == 4
    assert all(record.exc_info for record in caplog.records)
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [(line["request_id"], line["status"], line["code"], line["level"]) for line in lines] == [
        (name, 500, "EINTERNAL", "ERROR") for name in ("r-bug", "r-worse", "r-short", "r-long")
    ]


def test_a_request_that_the_host_ends_has_its_line(flask: Flask, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        flask.test_client().get("/fail/end", headers={"X-Request-Id": "r-end"})
    assert json.loads(capfd.readouterr().out)["status"] == 500


def test_an_application_that_fails_altogether_still_answers(capfd: pytest.CaptureFixture[str], flask: Flask) -> None:
    def broken(environ: object, start: object) -> Any:
        raise RuntimeError("not even Flask")

    flask.wsgi_app._application = broken  # type: ignore[union-attr, attr-defined]
    got = flask.test_client().get("/", headers={"X-Request-Id": "r-broken"})
    assert (got.status_code, got.json["code"], got.headers["X-Request-Id"]) == (500, "EINTERNAL", "r-broken")  # type: ignore[index]
    assert json.loads(capfd.readouterr().out)["code"] == "EINTERNAL"


class Restricted:
    """Standard output as mod_wsgi may have it."""

    def __getattr__(self, name: str) -> Any:
        raise OSError("sys.stdout access restricted")


@pytest.mark.parametrize("stdout", ["none", "restricted", "closed"])
def test_an_answer_does_not_depend_on_standard_output(
    capfd: pytest.CaptureFixture[str], flask: Flask, stdout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", {"none": None, "restricted": Restricted(), "closed": closed}[stdout])
    client = flask.test_client()
    assert [client.get(path).status_code for path in ("/nothing", "/nothing", "/healthz")] == [404, 404, 200]
    said = capfd.readouterr().err
    assert said.count("requests are not logged") == 1, said
    monkeypatch.setattr(sys, "stdout", io.StringIO())  # no file, but it can be written
    assert client.get("/nothing").status_code == 404
    assert json.loads(sys.stdout.getvalue())["status"] == 404  # type: ignore[attr-defined]


def test_the_log_can_be_turned_off(capfd: pytest.CaptureFixture[str]) -> None:
    got = create_app(Settings(log="off")).test_client().get("/nothing")
    assert got.status_code == 404
    assert "X-Request-Id" in got.headers
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def ours() -> Iterator[logging.Logger]:
    """The service's logger; what a test changes of it is undone."""
    logger = logging.getLogger("theeye_sync")
    before, propagate = list(logger.handlers), logger.propagate
    logger.handlers = []
    yield logger
    logger.handlers, logger.propagate = before, propagate


@pytest.fixture(autouse=True)
def _undone(ours: logging.Logger) -> None:
    """For every test here: a logger as a fresh process has it."""


def test_messages_on_a_host_of_another_kind() -> None:
    """In a process of its own, where nobody has set up any logging."""
    program = (
        "import logging\n"
        "from app import Settings, create_app\n"
        "from app.telemetry.trace import begin\n"
        "create_app(Settings(log={form!r}))\n"
        "begin({{'HTTP_X_REQUEST_ID': 'r-1'}}).secrets = ('s3/cr3t',)\n"
        "log = logging.getLogger('theeye_sync.x')\n"
        "try:\n    raise ValueError('s3/cr3t s3%2Fcr3t\\n[INFO] a lie')\n"
        "except ValueError:\n    log.exception('a\\nb ?access_token=zzz')\n"
    )
    said = {}
    for form in ("json", "text"):
        command = [sys.executable, "-c", program.format(form=form)]
        ran = subprocess.run(command, cwd=CHECKOUT, env=clean_environment(), capture_output=True, text=True, timeout=30)
        assert (ran.returncode, ran.stdout) == (0, "")
        said[form] = ran.stderr
    message = json.loads(said["json"])
    assert (message["message"], message["request_id"]) == ("a\nb ?access_token=***", "r-1")
    assert message["traceback"].endswith("ValueError: *** ***\n[INFO] a lie")
    assert "[ERROR] a\\nb ?access_token=*** request_id=r-1\n  Traceback" in said["text"]
    assert said["text"].endswith("  ValueError: *** ***\n  [INFO] a lie\n")


def test_a_hosts_own_handlers_are_kept_and_redact(ours: logging.Logger) -> None:
    stream, root = io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(stream)
    root.addHandler(handler)
    try:
        set_up("text")
        assert (ours.handlers, ours.propagate) == ([], True)
        trace = begin({})
        trace.secrets = ("s3cr3t",)
        try:
            raise ValueError("s3cr3t\nFORGED\x1b[2J")
        except ValueError:
            ours.exception("a %s", "s3cr3t\r\nFORGED\x1b[2J")
        trace.ended = True
    finally:
        root.removeHandler(handler)
    assert "s3cr3t" not in stream.getvalue()
    assert stream.getvalue().startswith("a ***\\r\\nFORGED\\x1b[2J\n  Traceback")
    assert stream.getvalue().endswith("  ValueError: ***\n  FORGED\\x1b[2J\n")


def test_a_request_that_has_ended_is_not_told_of() -> None:
    begin({}).ended = True
    assert current() is None
    record = logging.LogRecord("theeye_sync.x", logging.INFO, "", 0, "a\x1b\n\x85", (), None)
    assert RedactingFormatter("%(message)s").format(record) == "a\\x1b\\n\\x85"
    assert json.loads(JsonFormatter().format(record))["message"] == "a\x1b\n\x85"
    assert redacted("x") == "x"


# -- no token anywhere ----------------------------------------------------------------------------------

MARK = "s3cr3t"
TOKEN = f"{MARK}/+{MARK}"  # not the same when it is encoded
ENCODED = quote(TOKEN, safe="")
SPELLED = "".join(f"%{ord(letter):02x}" for letter in TOKEN)
NAME = "".join(f"%{ord(letter):02X}" for letter in "access_token")


def bad_requests() -> list[bytes]:
    """Each with a token somewhere; where gunicorn, the service or TheEye cannot make sense of it."""
    heads = [
        f"GET {JOB}?access_token={ENCODED} HTTP/9.9",
        f"G@T {JOB}?access_token={ENCODED} HTTP/1.1",
        f"GET {JOB}?access_token={ENCODED}",
        f"{TOKEN}",
        f"{TOKEN} {TOKEN} {TOKEN}",
        f"GET http://[{TOKEN} HTTP/1.1",
        f"GET /{'x' * 9000}?access_token={ENCODED} HTTP/1.1",
        f"GET /?access_token={TOKEN * 900} HTTP/1.1",
        f"GET / HTTP/1.1\r\nAuthorization Bearer {TOKEN}",
        f"GET / HTTP/1.1\r\nAutho rization: Bearer {TOKEN}",
        f"GET / HTTP/1.1\r\nAuthorization: Bearer\r\n {TOKEN}",
        f"GET / HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\x00",
        f"GET / HTTP/1.1\r\nAuthorization: Bearer {TOKEN * 1000}",
        f"GET / HTTP/1.1\r\n{TOKEN}: 1",
        f"POST / HTTP/1.1\r\nContent-Length: {TOKEN}",
        f"POST / HTTP/1.1\r\nTransfer-Encoding: {TOKEN}",
        f"GET / HTTP/1.1\r\nExpect: {TOKEN}",
        f"POST {JOB} HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\nTransfer-Encoding: chunked\r\n\r\n{TOKEN}\r\n{TOKEN}",
        *(
            f"{line} HTTP/1.1\r\nContent-Length: 0"
            for line in (
                f"GET /nothing?access_token={ENCODED}",
                f"GET /nothing?access_token={SPELLED}",
                f"GET /nothing?{NAME}={ENCODED}",
                f"GET /nothing?access_token[]={ENCODED}",
                f"GET /nothing/{ENCODED}?access_token={ENCODED}",
                f"PUT {JOB}?access_token={ENCODED}",
                f"{MARK.upper()} /?access_token={MARK.upper()}",
                f"POST {JOB}?access_token={ENCODED}&access_token={ENCODED}",
                f"POST /{SPELLED}/task/{ENCODED}/job?access_token={SPELLED}",
                f"POST /{quote(SPELLED)}/task/{TASK}/job?access_token={SPELLED}",
            )
        ),
        *(
            f"POST {JOB} HTTP/1.1\r\nContent-Length: 0\r\n{header}"
            for header in (
                f"Authorization: {TOKEN}",
                f"Authorization: Basic {TOKEN}",
                f"Authorization: Bearer {TOKEN} {TOKEN}",
                f"Authorization: Bearer {TOKEN}\r\nX-Request-Id: {TOKEN}",
                f"Authorization: Bearer {TOKEN}\r\nX-Request-Id: x{TOKEN}x",
                f"Authorization: Bearer {TOKEN}\r\nIdempotency-Key: {TOKEN}",
                f"Authorization: Bearer {TOKEN}\r\ntraceparent: {TOKEN}\r\ntracestate: {TOKEN}",
            )
        ),
    ]
    form = f"access_token={ENCODED}&task_arguments=1"
    kind = "Content-Type: application/x-www-form-urlencoded"
    heads += [f"POST {JOB} HTTP/1.1\r\n{kind}\r\nContent-Length: {len(form)}\r\n\r\n{form}"]
    return [f"{head}\r\nHost: x\r\nConnection: close\r\n\r\n".encode("latin-1") for head in heads]


def send_bad(service: Service) -> None:
    for raw in bad_requests():
        with socket.create_connection(("127.0.0.1", service.port), 10) as sock:
            try:
                sock.sendall(raw)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    pass
            except OSError:  # refused before it was read to its end
                pass


@pytest.mark.parametrize(("form", "worker"), [("text", "gevent"), ("json", "gthread")])
def test_no_token_is_in_any_log(form: str, worker: str, tmp_path: Path) -> None:
    with StandIn() as theeye:
        theeye.tokens = {TOKEN: ACME}
        theeye.task(output=[TOKEN])
        with serve(theeye, tmp_path, worker, form) as service:
            world = World(service, theeye, tmp_path / "errors")
            sent = {"Authorization": f"Bearer {TOKEN}"}
            assert world.ask("POST", JOB, **sent) == 200
            assert world.ask("POST", f"{JOB}?access_token={ENCODED}", Authorization="") == 200
            assert world.ask("POST", f"{JOB}?{NAME}={SPELLED}", Authorization="") == 200
            assert world.ask("POST", f"{JOB}?crash", **sent) == 502
            theeye.fault("create", Reply(400, {"message": TOKEN, "stack": TOKEN}), times=1)
            assert world.ask("POST", JOB, **sent) == 400
            theeye.fault("create", Stack(500), times=1)
            assert world.ask("POST", JOB, **sent) == 502
            theeye.fault("read", Reply(403, TOKEN), times=1)
            assert world.ask("POST", JOB, **sent) == 502
            send_bad(service)
            theeye.stop()
            assert world.ask("POST", JOB, **sent) == 502
            assert world.ask("POST", JOB, Authorization=f"Bearer {MARK}-unknown") == 502
            assert world.ask("POST", JOB, name="r-last", Authorization="") == 401
            wait_until(lambda: world.lines_of("r-last") != [], 20, "the last line")
            service.stop()
            said = service.log_text() + world.messages()
    assert said.count("Invalid request from") > 10  # so much of it was read
    assert said.count(JOB) > 15
    assert "crashing.py" in said
    assert "***" in said
    for spelling in (MARK, SPELLED, "".join(f"%{ord(letter):02x}" for letter in MARK)):
        found = [line for line in said.splitlines() if spelling.lower() in line.lower()]
        assert not found, found
    if form == "json":
        assert all(json.loads(line) for line in said.splitlines())


def test_the_reference_names_every_field_and_setting() -> None:
    page = (CHECKOUT / "docs" / "operating.md").read_text()
    table = page.partition("| field | meaning |")[2].partition("\n\n")[0]
    named = [
        name for cell in re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)
    ]
    assert sorted(named) == sorted(FIELDS)
    forms = page.partition("| `SYNC_LOG` |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", forms, re.MULTILINE) == ["text", "json", "off"]
    line = re.search(r"^```text\n(.*)\n```$", page, re.MULTILINE)
    assert line is not None
    shown = re.findall(r" (\w+)=", line[1])
    assert shown == [*shown[:-2], "client", "request_id"]
    assert set(shown) < {*FIELDS}
