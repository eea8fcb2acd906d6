"""Test the log: one line for each request, in both forms, whatever a client sends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.load import RawClient
from support.logs import FIELDS, LoggedService, newest
from support.processes import CHECKOUT, request_bytes, wait_until
from support.theeye import ACME, JOB, TASK, Late, Reply, Stack

from app.telemetry.access_log import LONGEST, json_line, text_line
from app.telemetry.trace import Trace

# -- a request's line -----------------------------------------------------------------------------------


def test_the_line_of_an_answer(logged: LoggedService) -> None:
    logged.theeye.fault("lifecycle", Late(0.5), times=1)  # the first look, within the wait
    assert logged.ask("POST", f"{JOB}?parse&access_token=", "r-answer", b"[1]", Authorization="") == 401
    assert logged.ask("POST", f"{JOB}?parse", "r-good", b"[1]") == 200
    line = logged.line_of("r-good")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(line.pop("time"))) < timedelta(minutes=1)
    times = {name: line.pop(name) for name in ("session", "create", "wait", "read", "format", "total")}
    assert line.pop("job") == newest(logged)
    assert line == {
        "level": "INFO",
        "request_id": "r-good",
        "method": "POST",
        "path": JOB,
        "customer": "acme",
        "user": ACME.user_id,
        "task": TASK,
        "workflow": None,
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
    logged: LoggedService, name: str, method: str, target: str, expected: tuple[int, str, str | None, str]
) -> None:
    assert logged.ask(method, target, f"r-{name}") == expected[0]
    line = logged.line_of(f"r-{name}")
    assert (line["status"], line["by"], line["code"], line["level"]) == expected
    assert line["path"] == target.partition("?")[0]
    who = ACME.user_id if name in ("customer", "no-job", "crash") else None  # also of one who is refused
    assert line["user"] == who


def test_who_made_the_status(logged: LoggedService) -> None:
    logged.theeye.task(output=["no"], state="failure")
    assert logged.ask("POST", JOB, "r-job") == 500
    assert (logged.line_of("r-job")["by"], logged.line_of("r-job")["level"]) == ("job", "INFO")
    assert logged.ask("POST", JOB, "r-none", Authorization="") == 401
    assert logged.line_of("r-none")["by"] == "service"
    assert logged.ask("POST", JOB, "r-unknown", Authorization="Bearer nobody") == 401
    assert logged.line_of("r-unknown")["by"] == "theeye"
    logged.theeye.fault("create", Reply(400, {"message": "no"}), times=1)
    assert logged.ask("POST", JOB, "r-refused") == 400
    assert (logged.line_of("r-refused")["by"], logged.line_of("r-refused")["code"]) == ("theeye", None)
    logged.theeye.fault("create", Stack(500), times=1)
    assert logged.ask("POST", JOB, "r-failed") == 502
    line = logged.line_of("r-failed")
    assert (line["by"], line["code"], line["level"]) == ("service", "ESUPERVISOR", "WARNING")
    assert line["create"] is not None
    assert line["job"] is line["wait"] is None


def test_a_job_that_takes_too_long(logged: LoggedService) -> None:
    logged.theeye.task(delay=None)
    assert logged.ask("POST", f"{JOB}?wait=0.5", "r-late") == 504
    line = logged.line_of("r-late")
    assert (line["code"], line["by"], line["level"]) == ("ETIMEISUP", "service", "WARNING")
    assert line["job"] == newest(logged)
    assert line["wait"] > 0.05


def test_a_client_that_goes_has_a_line_too(logged: LoggedService) -> None:
    logged.theeye.task(delay=None)
    before = len(logged.theeye.calls_of("create"))
    client = RawClient(logged.service, request_bytes("POST", JOB, X_Request_Id="r-gone"))
    logged.theeye.wait_for_calls("create", before + 1)
    client.leave()
    line = logged.line_of("r-gone")
    assert (line["status"], line["code"], line["by"]) == (499, "ECLIENTGONE", "service")


def test_health_checks_have_a_line_only_when_they_fail(logged: LoggedService) -> None:
    wait_until(lambda: logged.ask("GET", "/readyz", "r-first") == 200, 20, "ready")
    for path in ("/healthz", "/readyz"):
        assert logged.ask("GET", path, "r-health") == 200
        assert logged.ask("POST", path, f"r-405-{path[1:]}") == 405
    assert len(logged.lines_of("r-405-")) == 2
    assert not logged.lines_of("r-health")


# -- the forms ------------------------------------------------------------------------------------------

ODD = "a b\n\r\x00\x1b[2J\x85\u2028\u202e\"'\\%=ñ\ud800"


def traced(customer: str, environ: dict[str, Any]) -> Trace:
    trace = Trace("r-1", environ=environ)
    trace.customer = trace.user = trace.task = trace.job = customer
    trace.status, trace.secrets = 200, ()
    return trace


def environ(path: str = "/x", **more: str) -> dict[str, Any]:
    return {"REQUEST_METHOD": "GET", "PATH_INFO": path, "REMOTE_ADDR": "127.0.0.1", **more}


@pytest.mark.parametrize("form", [text_line, json_line])
def test_nothing_can_end_a_line_or_steer_a_terminal(form: Callable[..., str]) -> None:
    path = ODD.encode("utf-8", "surrogatepass").decode("latin-1")
    line = form(traced(ODD, environ(path, REQUEST_METHOD="G\nET", REMOTE_ADDR="1\n2")), 1e9, 0.5)
    assert line.endswith("\n")
    assert re.fullmatch(r"[\x20-\x7e]+", line[:-1])
    if form is json_line:
        assert json.loads(line)["customer"] == ODD
    else:
        assert (
            len(re.findall(r" customer=\S+ user=\S+ task=\S+ job=\S+ by=service client=1%0A2 request_id=r-1\n$", line))
            == 1
        )


@pytest.mark.parametrize("form", [text_line, json_line])
def test_lines_are_short(form: Callable[..., str]) -> None:
    line = form(traced("c" * 5000, environ("/" + "p" * 8000)), 1e9, 0.5)
    assert len(line) < 5 * (LONGEST + 3) + 700
    assert "p" * (LONGEST - 1) + "..." in line
    longest = form(traced("😀" * 5000, environ("/" + "é" * 8000)), 1e9, 0.5)
    assert len(longest) < 12 * 5 * (LONGEST + 3) + 700


def test_the_text_form() -> None:
    trace = traced("", environ("/a%20b"))
    trace.status = 404
    assert text_line(trace, 1e9 + 0.0126, 0.5) == (
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
    trace = traced("x s3cr3t", environ(path, HTTP_AUTHORIZATION="Bearer s3cr3t"))
    trace.secrets = ("s3cr3t",) if known else None
    line = json.loads(json_line(trace, 1e9, 0.5))
    assert (line["path"], line["user"], line["job"]) == (shown, "x ***", "x ***")


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
