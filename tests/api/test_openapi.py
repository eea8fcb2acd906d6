"""The interface as a document: valid, and held against routes, errors, modes, settings, and what services send."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from codes import codes_with_statuses, error_classes
from contract import Contract, Node, code_of, documented_codes, errors_of, is_error, resolved, responses_of
from openapi_spec_validator import OpenAPIV31SpecValidator
from servers import CHECKOUT, RawResponse, Redis, Service, raw_request
from standin import TASK, Big, CloseAfter, CloseBefore, Late, Reply, StandIn

from app import Settings, create_app, errors
from app.api.preferences import SECONDS
from app.errors import SyncError
from formatters.modes.job_output import INDEX

CSV = CHECKOUT / "examples" / "theeye-sync-csv" / "theeye_sync_csv.py"
JOBS = f"/acme/task/{TASK}/job"
PATHS = {"/{customer}/task/{task}/job", "/{customer}/task/{task}/job/{job}"}


def document(**settings: Any) -> Node:
    got = create_app(Settings(**settings)).test_client().get("/openapi.json")
    assert got.status == "200 OK"
    assert isinstance(got.json, dict)
    return got.json


def operations(of: Node) -> Iterator[tuple[str, str, Node]]:
    for path, node in of["paths"].items():
        for method, operation in node.items():
            if method != "parameters":
                yield method.upper(), path, operation


# -- the document -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"query_token": False, "cors_origins": ("https://app.example.org",)},
        {"disabled_formatters": ("parse", "response", "full", "result")},
        {"plugins": (str(CSV),), "disabled_formatters": ("full",)},
    ],
)
def test_it_is_valid(settings: dict[str, Any]) -> None:
    found = document(**settings)
    OpenAPIV31SpecValidator(found).validate()
    ids = [operation["operationId"] for _, _, operation in operations(found)]
    assert len(ids) == len(set(ids))
    assert {name for _, _, operation in operations(found) for name in operation["tags"]} == {
        tag["name"] for tag in found["tags"]
    }


def test_it_has_every_route_and_method_and_nothing_else() -> None:
    rules = create_app(Settings()).url_map.iter_rules()
    routes = {(method, re.sub("<(.*?)>", r"{\1}", rule.rule)) for rule in rules for method in rule.methods or ()}
    assert len(routes) > 15
    assert {(method, path) for method, path, _ in operations(document())} == routes


def test_it_has_every_error_code_with_its_statuses_and_nothing_else() -> None:
    documented: dict[str, set[int]] = {}
    for code, status in documented_codes(document()):
        documented.setdefault(code, set()).add(status)
    refused = documented.pop("")
    by_hand = {"EOUTCOMEUNKNOWN": {502}, "EINVALID": {411}}  # statuses that no class has, but places that raise them
    assert documented == {code: known | by_hand.get(code, set()) for code, known in codes_with_statuses().items()}
    assert {202, 400, 404, 409} <= refused


def test_every_header_that_a_page_may_read_is_documented() -> None:
    got = create_app(Settings()).test_client().get("/healthz", headers={"Origin": "https://app.example.org"})
    exposed = got.headers["Access-Control-Expose-Headers"].split(", ")
    assert len(exposed) > 5
    assert set(exposed) <= document()["components"]["headers"].keys()


def parameters(found: Node, method: str = "post", path: str = "/{customer}/task/{task}/job") -> dict[str, Node]:
    nodes = [resolved(found, node) for node in found["paths"][path][method]["parameters"]]
    return {node["name"]: node for node in nodes}


def test_the_modes_are_those_that_are_loaded() -> None:
    every = parameters(document())
    assert [name for name in every if every[name]["in"] == "query"] == [
        *("result", "full", "response", "parse"),
        *("wait", "on_disconnect", "arguments"),
    ]
    fewer = parameters(document(disabled_formatters=("full", "parse")))
    assert {"result", "response"} < fewer.keys()
    assert not {"full", "parse"} & fewer.keys()


def test_a_mode_that_is_disabled_leaves_no_trace() -> None:
    found = document(disabled_formatters=("result",))
    assert "result" not in found["components"]["parameters"]
    assert {"$ref": "#/components/schemas/Result"} not in found["components"]["schemas"]["Answer"]["anyOf"]
    for _, response in responses_of(found):
        assert "result" not in response.get("content", {}).get("application/json", {}).get("examples", {})


def test_a_plugins_mode_appears_with_its_media_type() -> None:
    found = document(plugins=(str(CSV),))
    for method, path in (("post", "/{customer}/task/{task}/job"), ("get", "/{customer}/task/{task}/job/{job}")):
        csv = parameters(found, method, path)["csv"]
        assert csv["description"].startswith("Mode `csv`: The output's table as CSV; ")
        assert "`Accept: text/csv`" in csv["description"]
        for status in ("200", "2XX", "4XX", "500"):
            assert "text/csv" in resolved(found, found["paths"][path][method]["responses"][status])["content"]
    assert "csv" not in parameters(document())


def test_without_modes_that_choose_there_are_no_ranges() -> None:
    found = document(disabled_formatters=("parse", "response"))
    for method in ("get", "head"):
        responses = found["paths"]["/{customer}/task/{task}/job/{job}"][method]["responses"]
        assert not [status for status in responses if status.endswith("XX")]
    assert list(resolved(found, responses_to_post(found)["200"])["content"]) == ["application/json"]
    assert [status for status in responses_to_post(found) if status.endswith("XX")] == ["4XX"]  # TheEye's refusals
    assert "ChosenAnswer" not in json.dumps(found)


def test_without_modes_of_other_types_all_is_json() -> None:
    found = document(disabled_formatters=("response",))
    assert "2XX" in responses_to_post(found)
    for _, response in responses_of(found):
        assert list(response.get("content", {})) in ([], ["application/json"])


def responses_to_post(found: Node) -> Node:
    responses = found["paths"]["/{customer}/task/{task}/job"]["post"]["responses"]
    assert isinstance(responses, dict)
    return responses


def test_the_query_token_is_a_way_in_only_where_it_is_enabled() -> None:
    for enabled, schemes in ((True, ["bearer", "access_token"]), (False, ["bearer"])):
        found = document(query_token=enabled)
        assert list(found["components"]["securitySchemes"]) == schemes
        for _, path, operation in operations(found):
            needs_token = path in PATHS and "cors" not in operation["tags"]
            security = operation.get("security", found["security"])
            assert security == ([{name: []} for name in schemes] if needs_token else [])


def test_the_origin_that_is_allowed_is_on_every_answer_only_where_every_origin_is() -> None:
    for origins, required in ((("*",), True), (("https://app.example.org",), None)):
        headers = document(cors_origins=origins)["components"]["headers"]
        assert headers["Access-Control-Allow-Origin"].get("required") is required


def test_the_limits_are_those_of_the_settings() -> None:
    words = document(wait_seconds=7.5, max_waiting=77, max_body=777, max_job=7777)["info"]["description"]
    assert re.findall(r"\| ([0-9.]+) \| `(SYNC_[A-Z_]+)` \|", words) == [
        ("7.5", "SYNC_WAIT_SECONDS"),
        ("77", "SYNC_MAX_WAITING"),
        ("777", "SYNC_MAX_BODY"),
        ("7777", "SYNC_MAX_JOB"),
    ]
    assert "{" not in words


def test_the_patterns_are_those_of_the_code() -> None:
    known = document()["components"]["parameters"]
    assert known["wait"]["schema"]["pattern"] == f"^{SECONDS.pattern}$"
    assert known["response"]["schema"]["pattern"] == f"^({INDEX.pattern})?$"


def test_the_examples_are_what_the_schemas_say() -> None:
    found = document(plugins=(str(CSV),))
    contract, checked = Contract(found), 0
    for status, response in responses_of(found):
        for media in response.get("content", {}).values():
            for name, node in media.get("examples", {}).items():
                value = resolved(found, node)["value"]
                contract.validate(media["schema"], value)
                assert not re.fullmatch("E[A-Z]+", name) or value["code"] == name
                assert not re.fullmatch("E[A-Z]+", name) or value["statusCode"] == int(status)
                checked += 1
    assert checked > 50


def test_it_is_made_once_and_sent_as_any_page() -> None:
    client = create_app(Settings()).test_client()
    first = client.get("/openapi.json", headers={"Origin": "https://app.example.org"})
    assert first.headers["Cache-Control"] == "no-store"
    assert first.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    assert first.headers["Content-Type"] == "application/json; charset=utf-8"
    assert client.get("/openapi.json").data == first.data
    head = client.head("/openapi.json")
    assert (head.data, head.headers["ETag"]) == (b"", first.headers["ETag"])


def test_a_plugins_odd_docstring_does_no_harm(tmp_path: Path) -> None:
    plugin = tmp_path / "odd.py"
    plugin.write_text(
        "from formatters import Answer, Formatter, hookimpl\n"
        "class A(Formatter):\n"
        "    __doc__ = 7\n"
        "    name, queries = 'a', ('a',)\n"
        "    def format(self, context): return Answer(1, 200)\n"
        "@hookimpl\n"
        "def register_formatters(): return [A()]\n"
    )
    assert parameters(document(plugins=(str(plugin),)))["a"]["description"].startswith("Mode `a`: a.")


# -- the errors -------------------------------------------------------------------------------------------------------

JOB = {"id": "61f42186c38201da80f9a001"}
RUNNING = {**JOB, "lifecycle": "assigned", "state": "in_progress"}
ENDED = {**JOB, "lifecycle": "finished", "state": "success"}
LATER = "/acme/task/61f3e937c38201da80f96c27/job/61f42186c38201da80f9a001?parse"


def failed(job: Node | None, *words: str) -> SyncError:
    error = errors.FormatterFailed("response", *words)
    error.job = job
    return error


# What raises each of the errors that the document has an example of.
ERRORS: dict[str, SyncError] = {
    "Accepted": errors.Accepted(RUNNING, LATER),
    "EINVALID": errors.BadRequest("wait must be a number of seconds"),
    "Unauthorized": errors.Unauthorized(),
    "EORACC": errors.Forbidden("Forbidden"),
    "ENOTFOUND": errors.NotFound("Job not found"),
    "EMETHOD": errors.MethodNotAllowed("PUT", ["GET", "HEAD", "DELETE"]),
    "Refused": errors.Refused("Invalid Request", status=406, value={"message": "TheEye's own words"}),
    "ETOOSLOW": errors.TooSlow("The body came too slowly: less than 65536 bytes in 10 seconds"),
    "ESTARTING": errors.StillStarting("A request with this Idempotency-Key is still starting its job"),
    "EOUTCOMEUNKNOWN_409": errors.RunUnknown(
        "A request with this Idempotency-Key was lost on the way, its job may have started"
    ),
    "EJOBENDED": errors.AlreadyEnded("The job had already ended", job=ENDED),
    "EJOBGONE_410": errors.RunGone("The job of this Idempotency-Key is gone", job=JOB),
    "EINVALID_411": errors.BadRequest("This server reads no chunked bodies, send a Content-Length", status=411),
    "ETOOLARGE": errors.TooLarge("The body is larger than 16777216 bytes"),
    "EMEDIATYPE": errors.UnsupportedType("The body must be application/json or application/x-www-form-urlencoded"),
    "EKEYREUSED": errors.KeyRefused("This Idempotency-Key was used for another task, body or query"),
    "ECLIENTGONE": errors.ClientGone("The client has gone", job=RUNNING),
    "EINTERNAL": SyncError("Internal Server Error"),
    "ENOKEYS": errors.NotSupported("Idempotency-Key needs SYNC_REDIS_URL, nothing was started"),
    "EGATEWAY": errors.UpstreamFailed("The gateway did not answer: timed out", code="EGATEWAY"),
    "ESUPERVISOR": errors.Unavailable("The supervisor did not answer: timed out", job=JOB),
    "EOUTCOMEUNKNOWN_502": errors.UpstreamFailed(
        "The supervisor's answer to the create is no job, but the job may have started", code="EOUTCOMEUNKNOWN"
    ),
    "EJOBGONE_502": errors.JobGone("TheEye no longer has the job", job=JOB),
    "EJOBTOOLARGE": errors.UpstreamFailed(
        "The job is too large: the answer has more than 67108864 bytes", code="EJOBTOOLARGE", job=JOB
    ),
    "EFORMATTER": failed(ENDED, "the job's output is not JSON"),
    "EFORMATTER_without_a_job": failed(None),
    "EBUSY": errors.TooBusy("1000 requests are waiting already, nothing was started"),
    "EHISTORY": errors.TurnNeverCame(),
    "EKEYSDOWN": errors.KeysUnavailable(
        "Idempotency keys cannot be kept just now, nothing was started: Redis did not answer: TimeoutError"
    ),
    "ETIMEISUP": errors.TimeIsUp(RUNNING, LATER),
    "EOUTCOMEUNKNOWN_504": errors.OutcomeUnknown(
        "The answer to the create was lost, the job may have started: timed out"
    ),
}


def test_the_examples_of_errors_are_what_the_classes_answer() -> None:
    examples = document()["components"]["examples"]
    shown = {name: example["value"] for name, example in examples.items() if name[0].isupper()}
    assert shown.keys() == ERRORS.keys()
    for name, error in ERRORS.items():
        assert json.dumps(shown[name]) == json.dumps(error.body()), name


def test_there_is_an_example_of_every_error_class() -> None:
    ours = {error for error in (SyncError, *error_classes()) if error.__module__ == "app.errors"}
    assert len(ours) > 20
    assert {type(error) for error in ERRORS.values()} == ours


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_documented_under_its_status_with_its_code_and_headers(name: str) -> None:
    found, error = document(), ERRORS[name]
    status = "4XX" if isinstance(error, errors.Refused) else str(error.status)
    places = [
        response
        for known, response in responses_of(found)
        if known == status and error.code in codes_in(found, response) and "content" in response
    ]
    assert places
    for response in places:
        assert error.headers.keys() <= response["headers"].keys()
    assert any(name == Path(node["$ref"]).name for response in places for node in examples_in(response))


def codes_in(found: Node, response: Node) -> set[str]:
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    parts = schema.get("anyOf", [schema] if schema else [])
    return {code_of(found, part) for part in parts if is_error(found, part)}


def examples_in(response: Node) -> list[Node]:
    return list(response["content"]["application/json"]["examples"].values())


def test_every_schema_of_an_error_is_used() -> None:
    found = document()
    used = [error for _, response in responses_of(found) for error in errors_of(found, response)]
    known = [node for node in found["components"]["schemas"].values() if node.get("$ref", "").endswith("/Error")]
    assert len(known) > 20
    assert all(node in used for node in known)


# -- the two files ----------------------------------------------------------------------------------------------------


def make_openapi(checkout: Path, *options: str) -> int:
    """What `make openapi` runs, and with --check `make lint`."""
    return subprocess.run([sys.executable, checkout / ".ci" / "openapi.py", *options]).returncode


def test_the_json_is_what_the_yaml_says() -> None:
    assert make_openapi(CHECKOUT, "--check") == 0, "run `make openapi`"


@pytest.mark.parametrize("edited", ["openapi.yaml", "openapi.json"])
def test_an_edit_of_one_of_the_two_files_is_noticed(edited: str, tmp_path: Path) -> None:
    for name in (".ci/openapi.py", "app/api/openapi.yaml", "app/api/openapi.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, tmp_path / name)
    file = tmp_path / "app" / "api" / edited
    file.write_text(file.read_text().replace("TheEye's asynchronous tasks", "Tasks"))
    assert make_openapi(tmp_path, "--check") == 1
    assert make_openapi(tmp_path) == 0
    assert make_openapi(tmp_path, "--check") == 0


# -- what services send -----------------------------------------------------------------------------------------------


class Caller:
    """Sends requests to a service, and holds each answer against the service's own document."""

    def __init__(self, service: Service) -> None:
        self._service = service
        raw = raw_request("127.0.0.1", service.port, b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
        self.contract = Contract(json.loads(raw.body))

    def ask(
        self,
        method: str,
        target: str,
        code: str = "",
        status: int = 200,
        body: bytes = b"",
        own: str = "",
        **headers: str,
    ) -> RawResponse:
        sent = {"Host": "x", "Authorization": "Bearer tok-acme", "Content-Type": "application/json"}
        sent |= {"Content-Length": str(len(body))} | {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items() if value)]
        got = raw_request("127.0.0.1", self._service.port, "\r\n".join([*lines, "", ""]).encode() + body, 30)
        assert got.status == status, got
        self.contract.check(method, target, got, set(own.split()))
        if code:
            assert json.loads(got.body)["code"] == code, got
        return got

    def post(
        self, query: str = "", code: str = "", status: int = 200, body: bytes = b"[1]", **more: Any
    ) -> RawResponse:
        return self.ask("POST", JOBS + query, code, status, body, **more)


def env(theeye: StandIn, **more: str) -> dict[str, str]:
    return {"SYNC_GATEWAY_URL": theeye.url, "SYNC_SUPERVISOR_URL": theeye.url, "SYNC_SESSION_TTL": "0", **more}


def described(**answer: Any) -> list[str]:
    return [json.dumps(answer)]


def modes_and_pages(caller: Caller, theeye: StandIn) -> None:
    theeye.task(output=['{"statusCode":418}', '{"a":1}', "words"])
    for query, status in (("", 200), ("?parse", 418), ("?parse=1", 200), ("?parse=2", 200), ("?full", 200)):
        done = caller.post(query, status=status).header("X-Job-Id")
        for method in ("GET", "HEAD"):
            caller.ask(method, f"{JOBS}/{done}{query}", status=status, Origin="https://app.example.org")
    caller.post("?result", Origin="https://app.example.org")
    theeye.task(state="failure", output=['{"statusCode":301}'])
    for query, status in (("", 500), ("?parse", 301), ("?full", 500), ("?result", 500)):
        caller.post(query, status=status)
    theeye.task(output=None, document={"output": {"old": True}})
    caller.post()
    theeye.task(output=described(body="<p>", headers={"Content-Type": "text/html", "X-Own": "1"}))
    caller.post("?response", own="X-Own")
    theeye.task(output=described(statusCode=204))
    caller.post("?response", status=204)
    theeye.task(output=described(body={"a": 1}, statusCode=502))
    caller.post("?response", status=502)
    for page in ("/api/status", "/healthz", "/readyz", "/openapi.json"):
        for method, status in (("GET", 200), ("HEAD", 200), ("OPTIONS", 204), ("POST", 405), ("TRACE", 405)):
            caller.ask(method, page, "EMETHOD" if status == 405 else "", status, Authorization="")
    for path in (JOBS, f"{JOBS}/any"):
        caller.ask("OPTIONS", path, status=204, Origin="https://app.example.org")
        caller.ask("GET" if path == JOBS else "POST", path, "EMETHOD", 405)
        caller.ask("PATCH", path, "EMETHOD", 405)


def refusals(caller: Caller, theeye: StandIn) -> None:
    theeye.task()
    caller.post("?wait=x", "EINVALID", 400)
    caller.post(status=401, Authorization="")
    caller.ask("POST", f"/beta/task/{TASK}/job", "EORACC", 403)
    caller.ask("GET", f"{JOBS}/61f42186c38201dafffffff1", "ENOTFOUND", 404)
    caller.post("", "ETOOLARGE", 413, b"[%s]" % (b" " * 70_000))
    caller.post("", "EMEDIATYPE", 415, Content_Type="text/csv")
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
    caller.ask("GET", f"{JOBS}/{done}?response", "EFORMATTER", 502)
    theeye.fault("profile", CloseBefore(), times=1)
    caller.ask("DELETE", f"{JOBS}/{done}", "EGATEWAY", 502)


def later(caller: Caller, theeye: StandIn) -> None:
    theeye.task(delay=None)
    job = caller.post("?wait=0", "ETIMEISUP", 504).header("X-Job-Id")
    caller.ask("GET", f"{JOBS}/{job}?wait=0", status=202)
    theeye.change(job, lifecycle="started")
    caller.ask("DELETE", f"{JOBS}/{job}", status=202)
    theeye.change(job, lifecycle="ready")
    caller.ask("DELETE", f"{JOBS}/{job}", status=204)
    caller.ask("DELETE", f"{JOBS}/{job}", "EJOBENDED", 409)
    accepted = caller.post(status=202, Prefer="respond-async")
    assert accepted.header("Preference-Applied") == "respond-async"
    theeye.finish()


def too_many(caller: Caller, theeye: StandIn) -> None:
    """With room for two: one waits, one queues behind it, a third is too much."""
    theeye.task(delay=None, history=1)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(caller.post)
        [job] = theeye.wait_for_jobs(1)
        caller.post("?wait=0.3", "EHISTORY", 503)
        got = pool.submit(caller.ask, "GET", f"{JOBS}/{job}")
        theeye.wait_for_calls("read", len(theeye.calls_of("read")) + 1)
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
    theeye.fault("create", Late(2), times=1)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(caller.post, Idempotency_Key="c")
        theeye.wait_for_calls("create", len(theeye.calls_of("create")) + 1)
        caller.post("?wait=0", "ESTARTING", 409, Idempotency_Key="c")
        assert first.result().status == 200


def keys_down(caller: Caller, theeye: StandIn) -> None:
    caller.post("", "EKEYSDOWN", 503, Idempotency_Key="a")


def queued(caller: Caller, theeye: StandIn) -> None:
    """The time in the queue of the history guard stands in Server-Timing."""
    theeye.task(delay=0.3, history=1)
    caller.post()  # from now on the limit is known
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda _: caller.post(), range(3)))
    assert any(answer.header("Server-Timing") for answer in answers)


def nobody_there(caller: Caller, theeye: StandIn) -> None:
    theeye.stop()
    caller.ask("GET", "/readyz", status=503)
    theeye.start()


DOWN = "redis://127.0.0.1:1"
SCENES: list[tuple[str, dict[str, str], list[Callable[[Caller, StandIn], None]]]] = [
    (
        "gevent",
        {"SYNC_MAX_BODY": "65536", "SYNC_MAX_JOB": "100000"},
        [modes_and_pages, refusals, failures, later, queued, nobody_there],
    ),
    ("gthread", {"SYNC_MAX_WAITING": "2"}, [too_many]),
    ("gevent", {}, [keys]),
    ("gthread", {"SYNC_REDIS_URL": DOWN}, [keys_down]),
]
NEVER_SENT = {
    ("ECLIENTGONE", 499),  # nobody is there to receive it
    ("EINTERNAL", 500),  # nobody knows how
    ("ETOOSLOW", 408),  # the body has ten seconds: test_security_slow has it
    ("EINVALID", 411),  # gunicorn reads chunks: test_hosting_legacy has it
}


def test_everything_that_a_service_sends_is_documented_and_all_of_it_is_sent(
    redis_server: Redis,
) -> None:
    headers: set[str] = set()
    codes: set[tuple[str, int]] = set()
    for worker, settings, scenes in SCENES:
        redis_url = redis_server.url if keys in scenes else ""
        with (
            StandIn(redis_url) as theeye,
            Service(env(theeye, **{"SYNC_REDIS_URL": redis_url, **settings}), worker=worker) as service,
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
def test_an_answer_that_is_not_documented_is_noticed(change: Callable[[RawResponse], RawResponse], words: str) -> None:
    client = create_app(Settings()).test_client()
    sent = client.get("/healthz")
    got = RawResponse(f"HTTP/1.1 {sent.status}", list(sent.headers), sent.data)
    contract = Contract(document())
    contract.check("GET", "/healthz", got)
    with pytest.raises(AssertionError, match=words):
        contract.check("GET", "/healthz", change(got))
