"""Test messages in both forms, under any host, without a token."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from urllib.parse import quote

import pytest
from support.logs import LoggedService, serve
from support.processes import run_python, wait_until
from support.theeye import ACME, JOB, TASK, Reply, Stack, StandIn
from support.wire import talk

from app.telemetry.json_formatter import JsonFormatter
from app.telemetry.messages import set_up
from app.telemetry.redaction import TextFormatter, redact
from app.telemetry.trace import begin, current

# -- messages ---------------------------------------------------------------------------------------------


def test_a_failure_has_one_traceback_with_its_request(logged: LoggedService) -> None:
    logged.theeye.task(output=["tok-acme"])
    assert logged.ask("POST", f"{JOB}?crash", "r-traceback") == 502
    wait_until(lambda: "r-traceback" in logged.messages(), 20, "the message")
    messages = [json.loads(line) for line in logged.messages().splitlines()]
    [message] = [message for message in messages if message.get("request_id") == "r-traceback"]
    assert list(message) == ["time", "level", "logger", "pid", "message", "request_id", "traceback"]
    assert (message["level"], message["logger"]) == ("ERROR", "theeye_sync.formatters")
    assert "while reading ***\x1b[2J" in message["traceback"]
    logged.line_of("r-traceback")


def test_expected_errors_have_no_message(logged: LoggedService) -> None:
    before = logged.messages().count("\n")
    logged.theeye.fault("create", Stack(500), times=1)
    assert logged.ask("POST", JOB, "r-expected") == 502
    logged.line_of("r-expected")
    assert "Traceback" not in logged.messages().split("\n", before)[-1]


def test_a_job_id_of_theeyes_stays_one_line(logged: LoggedService) -> None:
    """The supervisor is trusted, but its id of a job may come from elsewhere."""
    odd = {"id": "x\nFORGED\r\n[ERROR] y", "lifecycle": "finished", "state": "success", "output": ["1"]}
    for kind in ("create", "read"):
        logged.theeye.fault(kind, Reply(200, odd | {"task_id": TASK}), times=1)
    assert logged.ask("POST", f"{JOB}?crash", "r-odd-id") == 502
    assert logged.line_of("r-odd-id")["job"] == odd["id"]
    [message] = [line for line in logged.messages().splitlines() if "r-odd-id" in line]
    assert json.loads(message)["message"].endswith(f"failed on job {odd['id']}")


def test_messages_on_a_host_of_another_kind() -> None:
    """This runs in a process of its own, without any logging set up."""
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
        ran = run_python("-c", program.format(form=form))
        assert ran.stdout == ""
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


def test_whatever_a_record_carries_is_redacted() -> None:
    record = logging.LogRecord("theeye_sync.x", logging.INFO, "", 0, "%s", ("Bearer a",), None, sinfo="Bearer b")
    record.extra = "Bearer c"
    shown = json.loads(JsonFormatter().format(record))
    assert (shown["message"], shown["stack_info"], shown["extra"]) == ("Bearer ***",) * 3


def test_a_request_that_has_ended_is_not_told_of() -> None:
    begin({}).ended = True
    assert current() is None
    record = logging.LogRecord("theeye_sync.x", logging.INFO, "", 0, "a\x1b\n\x85", (), None)
    assert TextFormatter("%(message)s").format(record) == "a\\x1b\\n\\x85"
    assert json.loads(JsonFormatter().format(record))["message"] == "a\x1b\n\x85"
    assert redact("x") == "x"


@pytest.mark.parametrize(
    "text",
    [
        "POST /x?access_token=tok-acme HTTP/1.1",
        "POST /x?%61ccess_token=tok-acme&a=1",
        "POST /x?access%5Ftoken=tok-acme",
        "POST /x?access_token[]=tok-acme",
        "POST /x?access_token[0]=tok-acme",
        "POST /x?access_token%5B%5D=tok-acme",
        "POST /x?access_token=ab,tok-acme",
        "POST /x?access_token=ab)tok-acme",
        'Referer "http://h/?access_token%3dtok-acme"',
        "Authorization: Bearer tok-acme",
        "'Authorization\\tBearer tok-acme'",
        "Invalid request from ip=127.0.0.1: Invalid HTTP Header: 'tok-acme'",
        "Invalid request from ip=127.0.0.1: Invalid HTTP request line: 'POST /x?access_token=a tok-acme HTTP/1.1'",
    ],
)
def test_redaction_knows_every_spelling(text: str) -> None:
    assert "tok-acme" not in redact(text)
    assert redact(text)[:8] == text[:8]


def test_redaction_leaves_the_rest() -> None:
    assert redact("GET /x?access_token=a&b=1 HTTP/1.1") == "GET /x?access_token=***&b=1 HTTP/1.1"


# -- no token anywhere ----------------------------------------------------------------------------------

MARK = "s3cr3t"
TOKEN = f"{MARK}/+{MARK}"  # not the same when it is encoded
ENCODED = quote(TOKEN, safe="")
SPELLED = "".join(f"%{ord(letter):02x}" for letter in TOKEN)
NAME = "".join(f"%{ord(letter):02X}" for letter in "access_token")


def bad_requests() -> list[bytes]:
    """Return requests with a token somewhere, which gunicorn, the service or TheEye cannot use."""
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


@pytest.mark.parametrize(("form", "worker"), [("text", "gevent"), ("json", "gthread")])
def test_no_token_is_in_any_log(form: str, worker: str, tmp_path: Path) -> None:
    with StandIn() as theeye:
        theeye.tokens = {TOKEN: ACME}
        theeye.task(output=[TOKEN])
        with serve(theeye, tmp_path, worker, form) as service:
            logged = LoggedService(service, theeye, tmp_path / "errors")
            sent = {"Authorization": f"Bearer {TOKEN}"}
            assert logged.ask("POST", JOB, **sent) == 200
            assert logged.ask("POST", f"{JOB}?access_token={ENCODED}", Authorization="") == 200
            assert logged.ask("POST", f"{JOB}?{NAME}={SPELLED}", Authorization="") == 200
            assert logged.ask("POST", f"{JOB}?crash", **sent) == 502
            theeye.fault("create", Reply(400, {"message": TOKEN, "stack": TOKEN}), times=1)
            assert logged.ask("POST", JOB, **sent) == 400
            theeye.fault("create", Stack(500), times=1)
            assert logged.ask("POST", JOB, **sent) == 502
            theeye.fault("read", Reply(403, TOKEN), times=1)
            assert logged.ask("POST", JOB, **sent) == 403
            for raw in bad_requests():
                talk(service, raw, 10, ends=True)
            theeye.stop()
            assert logged.ask("POST", JOB, **sent) == 502
            assert logged.ask("POST", JOB, Authorization=f"Bearer {MARK}-unknown") == 502
            assert logged.ask("POST", JOB, name="r-last", Authorization="") == 401
            wait_until(lambda: logged.lines_of("r-last") != [], 20, "the last line")
            service.stop()
            said = service.log_text() + logged.messages()
    assert said.count("Invalid request from") > 10  # so much of it was read
    assert said.count(JOB) > 15
    assert "crashing.py" in said
    assert "***" in said
    for spelling in (MARK, SPELLED, "".join(f"%{ord(letter):02x}" for letter in MARK)):
        found = [line for line in said.splitlines() if spelling.lower() in line.lower()]
        assert not found, found
    if form == "json":
        assert all(json.loads(line) for line in said.splitlines())
