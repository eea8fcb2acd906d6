"""Test the document against the answers of real services: every status, header and code, and no others."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.contract import Contract, document, documented_codes
from support.processes import RawResponse, Redis, Service, wait_until
from support.settings import environment
from support.theeye import JOB, TASK, Big, CloseAfter, CloseBefore, Held, Reply, StandIn
from support.wire import send

from app.api.events import EVENTS


class Caller:
    """Send requests to a service, and check each answer against the service's own document."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.contract = Contract(json.loads(send(service, "/openapi.json", b"", "GET").body))

    def ask(
        self, method: str, target: str, code: str = "", status: int | None = 200, body: bytes = b"", **more: str
    ) -> RawResponse:
        """Send a request and check the answer; `own` names the job's headers, `headers` are those to send."""
        own = more.pop("own", "")
        got = send(self._service, target, body, method, **more)
        assert status in (None, got.status), got
        self.contract.check(method, target, got, set(own.split()))
        if code:
            assert json.loads(got.body)["code"] == code, got
        return got

    def post(
        self, query: str = "", code: str = "", status: int = 200, body: bytes = b"[1]", **more: Any
    ) -> RawResponse:
        return self.ask("POST", JOB + query, code, status, body, **more)


def described(**answer: Any) -> list[str]:
    return [json.dumps(answer)]


def modes_and_pages(caller: Caller, theeye: StandIn) -> None:
    theeye.task(output=['{"statusCode":418}', '{"a":1}', "words"])
    for query, status in (("", 200), ("?parse", 418), ("?parse=1", 200), ("?parse=2", 200), ("?full", 200)):
        done = caller.post(query, status=status).header("X-Job-Id")
        for method in ("GET", "HEAD"):
            caller.ask(method, f"{JOB}/{done}{query}", status=status, Origin="https://app.example.org")
    caller.post("?result", Origin="https://app.example.org")
    theeye.task(state="failure", output=['{"statusCode":301}'])
    for query, status in (("", 500), ("?parse", 301), ("?full", 500), ("?result", 500)):
        caller.post(query, status=status)
    theeye.task(state="failure", output=[])
    caller.post("?strict", status=500)
    theeye.task(output=None, document={"output": {"old": True}})
    caller.post()
    theeye.task(output=described(body="<p>", headers={"Content-Type": "text/html", "X-Own": "1"}))
    caller.post("?response", own="X-Own")
    theeye.task(output=described(body="<p>" * 999, headers={"Content-Type": "text/html"}))
    known = caller.post("?response", Accept_Encoding="gzip")
    job = f"{JOB}/{known.header('X-Job-Id')}?response"
    caller.ask("GET", job, status=304, If_None_Match=known.header("ETag") or "")
    theeye.task(output=described(statusCode=204))
    caller.post("?response", status=204)
    theeye.task(output=described(body={"a": 1}, statusCode=502))
    caller.post("?response", status=502)
    wait_until(lambda: caller.ask("GET", "/readyz", status=None).status == 200, 30, "ready")
    for page in ("/api/status", "/healthz", "/readyz", "/openapi.json"):
        for method, status in (("GET", 200), ("HEAD", 200), ("OPTIONS", 204), ("POST", 405), ("TRACE", 405)):
            caller.ask(method, page, "EMETHOD" if status == 405 else "", status, Authorization="")
    for path in (JOB, f"{JOB}/any"):
        caller.ask("OPTIONS", path, status=204, Origin="https://app.example.org")
        caller.ask("GET" if path == JOB else "POST", path, "EMETHOD", 405)
        caller.ask("PATCH", path, "EMETHOD", 405)


def refusals(caller: Caller, theeye: StandIn) -> None:
    theeye.task()
    caller.post("?wait=x", "EINVALID", 400)
    caller.post(status=401, Authorization="")
    caller.ask("POST", f"/beta/task/{TASK}/job", "EORACC", 403)
    caller.ask("GET", f"{JOB}/61f42186c38201dafffffff1", "ENOTFOUND", 404)
    caller.post("", "ETOOLARGE", 413, b"[%s]" % (b" " * 70_000))
    caller.post("", "EMEDIATYPE", 415, Content_Type="text/csv")
    caller.post("", "EMEDIATYPE", 415, Content_Encoding="br")
    caller.post("", "ENOKEYS", 501, Idempotency_Key="k")
    for status in (400, 404, 418):
        theeye.fault("create", Reply(status, {"message": "no"}), times=1)
        refused = caller.post(status=status)
        assert json.loads(refused.body)["code"] == ""
    theeye.fault("read", Reply(401, "Unauthorized"), times=1)
    assert caller.post(status=401).header("X-Job-Id")


def failures(caller: Caller, theeye: StandIn) -> None:
    theeye.fault("profile", Reply(500, {}), times=1)
    caller.post("", "EGATEWAY", 502)
    theeye.fault("create", Reply(500, {"message": "boom"}), times=1)
    caller.post("", "ESUPERVISOR", 502)
    theeye.fault("create", Reply(200, {"no": "job"}), times=1)
    caller.post("", "EOUTCOMEUNKNOWN", 502)
    theeye.fault("create", CloseAfter(), times=1)
    caller.post("", "EOUTCOMEUNKNOWN", 504)
    theeye.fault("read", Reply(404, "job not found"), times=1)
    caller.post("", "EJOBGONE", 502)
    theeye.fault("read", Big(200_000), times=1)
    caller.post("", "EJOBTOOLARGE", 502)
    done = caller.post("?response", "EFORMATTER", 502).header("X-Job-Id")
    caller.ask("GET", f"{JOB}/{done}?response", "EFORMATTER", 502)
    theeye.fault("profile", CloseBefore(), times=1)
    caller.ask("DELETE", f"{JOB}/{done}", "EGATEWAY", 502)


def later(caller: Caller, theeye: StandIn) -> None:
    theeye.task(delay=None)
    job = caller.post("?wait=0", "ETIMEISUP", 504).header("X-Job-Id")
    caller.ask("GET", f"{JOB}/{job}?wait=0", status=202)
    theeye.change(job, lifecycle="started")
    caller.ask("DELETE", f"{JOB}/{job}", status=202)
    theeye.change(job, lifecycle="ready")
    caller.ask("DELETE", f"{JOB}/{job}", status=204)
    caller.ask("DELETE", f"{JOB}/{job}", "EJOBENDED", 409)
    accepted = caller.post(status=202, Prefer="respond-async")
    assert accepted.header("Preference-Applied") == "respond-async"
    theeye.finish()
    done = accepted.header("X-Job-Id")
    caller.ask("GET", f"{JOB}/{done}", status=200, Accept=EVENTS)
    caller.ask("GET", f"{JOB}/{done}", status=204, Accept=EVENTS, Last_Event_ID=f"{done}:answer")


def too_many(caller: Caller, theeye: StandIn) -> None:
    """Send three requests to a service with room for two: one waits, one queues, the third is refused."""
    theeye.task(delay=None, history=1)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(caller.post)
        [job] = theeye.wait_for_jobs(1)
        caller.post("?wait=0.3", "EHISTORY", 503)
        reads = len(theeye.calls_of("read"))
        got = pool.submit(caller.ask, "GET", f"{JOB}/{job}")
        theeye.wait_for_calls("read", reads + 1)
        caller.post("", "EBUSY", 503)
        theeye.finish(job)
        assert [waiting.result().status, got.result().status] == [200, 200]


def keys(caller: Caller, theeye: StandIn) -> None:
    theeye.task()
    job = caller.post(Idempotency_Key="a").header("X-Job-Id")
    assert caller.post(Idempotency_Key="a").header("Idempotency-Replayed") == "true"
    caller.post("", "EKEYREUSED", 422, b"[2]", Idempotency_Key="a")
    theeye.forget(job)
    caller.post("", "EJOBGONE", 410, Idempotency_Key="a")
    theeye.fault("create", CloseAfter(), times=1)
    caller.post("", "EOUTCOMEUNKNOWN", 504, Idempotency_Key="b")
    caller.post("", "EOUTCOMEUNKNOWN", 409, Idempotency_Key="b")
    theeye.fault("create", held := Held(), times=1)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(caller.post, Idempotency_Key="c")
        assert held.arrived.wait(20)
        caller.post("?wait=0", "ESTARTING", 409, Idempotency_Key="c")
        held.released.set()
        assert first.result().status == 200


def keys_down(caller: Caller, theeye: StandIn) -> None:
    caller.post("", "EKEYSDOWN", 503, Idempotency_Key="a")


def queued(caller: Caller, theeye: StandIn) -> None:
    """Check that Server-Timing shows the time in the queue of the history guard."""
    theeye.task(delay=0.3, history=1)
    caller.post()  # from now on the limit is known
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda _: caller.post(), range(3)))
    assert any(answer.header("Server-Timing") for answer in answers)


def nobody_there(caller: Caller, theeye: StandIn) -> None:
    theeye.stop()
    wait_until(lambda: caller.ask("GET", "/readyz", status=None).status == 503, 30, "unreachable")
    theeye.start()


SCENES: list[tuple[str, dict[str, object], list[Callable[[Caller, StandIn], None]]]] = [
    (
        "gevent",
        {"max_body": 65536, "max_job": 100000},
        [modes_and_pages, refusals, failures, later, queued, nobody_there],
    ),
    ("gthread", {"max_waiting": 2}, [too_many]),
    ("gevent", {}, [keys]),
    ("gthread", {"redis_url": "redis://127.0.0.1:1"}, [keys_down]),
]
NEVER_SENT = {
    ("ECLIENTGONE", 499),  # nobody is there to receive it
    ("EINTERNAL", 500),  # nobody knows how
    ("ETOOSLOW", 408),  # the body has ten seconds: test_security_slow has it
    ("EINVALID", 411),  # gunicorn reads chunks: test_hosting_legacy has it
}


def test_everything_that_a_service_sends_is_documented_and_all_of_it_is_sent(redis_server: Redis) -> None:
    headers: set[str] = set()
    codes: set[tuple[str, int]] = set()
    for worker, settings, scenes in SCENES:
        redis_url = redis_server.url if keys in scenes else ""
        with (
            StandIn(redis_url) as theeye,
            Service(environment(theeye, session_ttl=0, **{"redis_url": redis_url, **settings}), worker) as service,
        ):
            caller = Caller(service)
            for scene in scenes:
                theeye.heal()
                scene(caller, theeye)
        headers |= caller.contract.seen_headers
        codes |= caller.contract.seen_codes
    documented = {name.lower() for name in document()["components"]["headers"]}
    assert headers == documented
    documented_pairs = {(code, status) for code, status in documented_codes(document()) if code}
    assert codes >= documented_pairs - NEVER_SENT, "each code of the tree was provoked with each of its statuses"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda got: RawResponse("HTTP/1.1 599 Odd", got.headers, got.body), "is not documented to answer 599"),
        (lambda got: RawResponse(got.status_line, [*got.headers, ("X-Odd", "1")], got.body), "not documented"),
        (lambda got: RawResponse(got.status_line, got.headers[:-1], got.body), "not sent"),
        (lambda got: RawResponse(got.status_line, got.headers, b'{"status":"no"}'), "'ok' was expected"),
    ],
)
def test_an_answer_that_is_not_documented_is_noticed(
    change: Callable[[RawResponse], RawResponse], words: str, client: FlaskClient
) -> None:
    sent = client.get("/healthz")
    got = RawResponse(f"HTTP/1.1 {sent.status}", list(sent.headers), sent.data)
    contract = Contract(document())
    contract.check("GET", "/healthz", got)
    with pytest.raises(AssertionError, match=words):
        contract.check("GET", "/healthz", change(got))
