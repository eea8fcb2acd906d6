"""Test plugins on real gunicorn: whatever one does, the service serves, and only the log has the details."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.client import error_of
from support.health import when_known
from support.processes import CHECKOUT, RawResponse, Service, clean_environment
from support.theeye import JOB, StandIn
from support.wire import send

MISBEHAVING = '''
"""Formatters that do everything wrong while they run."""

from formatters import Answer, BadOutput, BadQuery, Formatter, hookimpl


class Subtle(str):
    def encode(self, *_):
        return b"\\r\\n\\r\\n"

    def __len__(self):
        return 10**9

    def lower(self):
        return "x-fine"


class Long(bytes):
    def __len__(self):
        return 10**9

    def __bytes__(self):
        return b"other"


class Odd(BaseException):
    def __str__(self):
        raise ValueError("not even that")


def loop():
    return loop()


def fail(error):
    raise error


def nested():
    value = []
    value.append(value)
    return value


def change(context):
    context.job.clear()
    context.query.clear()
    raise KeyError("x")


WRONG = {
    "raises": lambda context: fail(KeyError("secret words")),
    "exits": lambda context: fail(SystemExit(3)),
    "interrupts": lambda context: fail(KeyboardInterrupt()),
    "odd": lambda context: fail(Odd()),
    "stops": lambda context: fail(StopIteration()),
    "generator": lambda context: fail(GeneratorExit()),
    "loops": lambda context: loop(),
    "memory": lambda context: fail(MemoryError()),
    "huge": lambda context: Answer(bytearray(1 << 62), 200),
    "query": lambda context: fail(BadQuery("secret words of a wrong place")),
    "nothing": lambda context: None,
    "dict": lambda context: {"body": "x"},
    "no-json": lambda context: Answer(object(), 200),
    "nested": lambda context: Answer(nested(), 200),
    "nan": lambda context: Answer(float("nan"), 200),
    "set": lambda context: Answer({1}, 200),
    "number-as-text": lambda context: Answer(7, 200, "text/plain"),
    "surrogate": lambda context: Answer("\\ud800", 200, "text/plain"),
    "changes": change,
}
STATUSES = {"0": 0, "100": 100, "1000": 1000, "text": "200 OK\\r\\nX-Injected: 1", "true": True, "none": None}
TYPES = {"split": "text/plain\\r\\nX-Injected: 1", "empty": "", "bytes": b"text/plain"}
HEADERS = {
    "list": [("X-A", "b")], "twice": {"X-A": "b", "x-a": "c"}, "number": {"X-A": 7}, "length": {"Content-Length": "0"},
    "split": {"X-A": "b\\r\\nX-Injected: 1\\r\\n\\r\\n<html>"}, "name-split": {"X-A: b\\r\\nX-Injected": "1"},
    "chunked": {"transfer-encoding": "chunked"}, "close": {"Connection": "close"}, "cookie": {"Set-Cookie": "a=b"},
    "type": {"Content-Type": "text/html"}, "job": {"X-Job-Id": "mine"}, "subtle": {Subtle("Set-Cookie"): "a=b"},
    "cors": {"Access-Control-Allow-Origin": "*"},
}
WRONG |= {f"status-{name}": lambda context, status=status: Answer("x", status) for name, status in STATUSES.items()}
WRONG |= {f"type-{name}": lambda context, kind=kind: Answer("x", 200, kind) for name, kind in TYPES.items()}
WRONG |= {f"headers-{name}": lambda context, own=own: Answer("x", 200, None, own) for name, own in HEADERS.items()}
RIGHT = {
    "words": lambda context: fail(BadOutput("there is no table in it")),
    "subtle-text": lambda context: Answer(Subtle("text"), 200, Subtle("text/plain"), {"X-A": Subtle("b")}),
    "long-bytes": lambda context: Answer(Long(b"bytes"), 200, "application/octet-stream"),
    "no-content": lambda context: Answer("x", 204, "text/plain"),
    "fine": lambda context: Answer({"accept": context.accept}, 299, None, {"Link": "</a>; rel=next", "Vary": "Accept"}),
}


def formatter(what, does):
    attributes = {"name": what, "queries": (what,), "format": lambda self, context: does(context)}
    return type(what, (Formatter,), attributes)()


class Checking(Formatter):
    name = "checking"
    queries = ("checking",)
    media_types = ("text/checking",)

    def check(self, query):
        if query.get("checking") == "400":
            raise BadQuery("not 400, please")
        if query.get("checking"):
            raise SystemExit("secret words")

    def format(self, context):
        return Answer("checked", 200, "text/checking")


@hookimpl
def register_formatters():
    yield Checking()
    for what, does in (WRONG | RIGHT).items():
        yield formatter(what, does)
'''
NAMESPACE: dict[str, Any] = {"__name__": "misbehaving"}
exec(MISBEHAVING, NAMESPACE)


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("plugins")
    files = {
        "misbehaving": MISBEHAVING,
        "exits": "raise SystemExit('secret words')",
        "wrong": "from formatters import hookimpl\n@hookimpl\ndef register_formatters(app): return []\n",
        "again": MISBEHAVING,
    }
    for name, code in files.items():
        (folder / f"{name}.py").write_text(code)
    return ",".join([*(str(folder / f"{name}.py") for name in files), "no_such_module"])


@pytest.fixture(scope="module")
def gunicorn_settings(plugins: str) -> dict[str, object]:
    return {"plugins": plugins, "disabled_formatters": "result"}


@pytest.fixture(autouse=True)
def _as_new(its_theeye: StandIn) -> None:
    """Reset the stand-in for every test of this file."""


def ask(gunicorn: Service, query: str, **headers: str) -> RawResponse:
    return send(gunicorn, f"{JOB}?{query}", b"", **headers)


@pytest.mark.parametrize("what", NAMESPACE["WRONG"])
def test_a_formatter_that_fails_is_502_and_harms_nobody(what: str, gunicorn: Service) -> None:
    pids = gunicorn.worker_pids()
    got = ask(gunicorn, what)
    assert (got.complete, got.status_line) == (True, "HTTP/1.1 502 Bad Gateway")
    error = error_of(got, 502, "EFORMATTER")
    assert error["formatter"] == what
    assert error["message"].startswith(f"The formatter '{what}' failed")
    assert error["job"]["id"] == got.header("X-Job-Id")
    assert error["job"]["state"] == got.header("X-Job-State") == "success"
    names = [name.lower() for name, _ in got.headers]
    assert not {"x-injected", "set-cookie", "x-a"} & set(names)
    assert names.count("content-type") == names.count("content-length") == names.count("x-job-id") == 1
    assert b".py" not in got.body
    if what != "query":  # an exported error's words are for the client, wherever it comes from
        assert b"secret" not in got.body
    log = gunicorn.log_text()
    assert f"formatter {what} failed on job {error['job']['id']}" in log
    assert "Traceback (most recent call last)" in log
    assert ask(gunicorn, "").status == 200
    assert gunicorn.worker_pids() == pids, "the worker lives on"


def test_a_formatters_own_words_reach_the_client(gunicorn: Service) -> None:
    error = error_of(ask(gunicorn, "words"), 502, "EFORMATTER")
    assert error["message"] == "The formatter 'words' failed: there is no table in it"


def test_subclasses_cannot_lie_about_their_content(gunicorn: Service) -> None:
    text, data = ask(gunicorn, "subtle-text"), ask(gunicorn, "long-bytes")
    assert (text.status, text.body, text.header("X-A"), text.complete) == (200, b"text", "b", True)
    assert (data.status, data.body, data.header("Content-Length"), data.complete) == (200, b"bytes", "5", True)


def test_a_legal_answer_is_sent_as_it_is(gunicorn: Service) -> None:
    got = ask(gunicorn, "fine", Accept="a/b")
    assert (got.status, json.loads(got.body)) == (299, {"accept": "a/b"})
    assert (got.header("Link"), got.header("Vary")) == ("</a>; rel=next", "Accept")
    assert (ask(gunicorn, "no-content").status, ask(gunicorn, "no-content").body) == (204, b"")


@pytest.mark.parametrize(
    ("value", "status", "code", "message"),
    [(400, 400, "EINVALID", "not 400, please"), (500, 502, "EFORMATTER", "The formatter 'checking' failed")],
)
def test_a_refused_value_starts_nothing(
    value: int, status: int, code: str, message: str, gunicorn: Service, its_theeye: StandIn
) -> None:
    before = len(its_theeye.calls_of("create"))
    got = ask(gunicorn, f"checking={value}")
    error = error_of(got, status, code)
    assert error["message"] == message
    assert "job" not in error
    assert got.header("X-Job-Id") is None
    assert len(its_theeye.calls_of("create")) == before


def test_the_accept_header_selects_where_no_query_name_does(gunicorn: Service) -> None:
    chosen = ask(gunicorn, "", Accept="text/checking, */*;q=0.5")
    assert (chosen.body, chosen.header("Content-Type")) == (b"checked", "text/checking; charset=utf-8")
    assert chosen.header("X-Content-Type-Options") == "nosniff"
    assert json.loads(ask(gunicorn, "parse", Accept="text/checking").body) == {"a": 1}
    assert json.loads(ask(gunicorn, "", Accept="*/*").body) == ['{"a":1}']


def test_a_plugins_query_names_are_no_arguments_of_the_task(gunicorn: Service, its_theeye: StandIn) -> None:
    ask(gunicorn, "fine=1&result=2&a=3")
    arguments = its_theeye.calls_of("create")[-1].query
    assert arguments == [("result", "2"), ("a", "3")], "those of a mode that is turned off are the task's again"


def test_readyz_names_what_was_not_loaded(gunicorn: Service) -> None:
    when_known(lambda: json.loads(send(gunicorn, "/readyz", b"", "GET").body))
    got = send(gunicorn, "/readyz", b"", "GET")
    assert got.status == 200
    degraded = json.loads(got.body)["degraded"]
    told = [line for line in degraded if line.startswith("formatter ")]
    assert told[0] == "formatter exits: not loaded: SystemExit"
    assert told[1].startswith("formatter wrong: not loaded: Plugin 'wrong' for hook 'register_formatters'")
    assert told[2] == "formatter again: not loaded: the name 'checking' is taken by another formatter"
    assert told[3] == "formatter no_such_module: not loaded: ModuleNotFoundError"
    assert b"secret" not in got.body
    log = gunicorn.log_text()
    for name in ("exits.py", "wrong.py", "again.py", "no_such_module"):
        assert f"{name} is skipped" in log
    assert "secret words" in log


def test_the_listing_of_the_same_service(plugins: str) -> None:
    ran = subprocess.run(
        [str(Path(sys.executable).parent / "flask"), "--app", "wsgi", "formatters"],
        cwd=CHECKOUT,
        env=clean_environment() | {"SYNC_PLUGINS": plugins, "SYNC_DISABLED_FORMATTERS": "result"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1, "one is not loaded"
    lines = ran.stdout.splitlines()
    modes = [line.split()[0] for line in lines[1:] if not line.startswith("not loaded")]
    assert modes[:5] == ["full", "response", "parse", "output", "checking"]
    checking = next(line for line in lines if line.startswith("checking"))
    assert "?checking, Accept: text/checking" in checking
    assert "misbehaving.py" in checking
    failed = [line for line in lines if line.startswith("not loaded")]
    assert [line.split()[2].rstrip(":") for line in failed] == ["exits", "wrong", "again", "no_such_module"]
    assert failed[0].endswith("SystemExit: secret words")
