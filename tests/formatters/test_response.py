"""Test `?response`: the job decides the whole answer, and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import formatters.modes.response
from formatters import BadAnswer, BadOutput, BadQuery, RegistrationError, Registry, Rendered
from formatters.modes.response import Response
from formatters.testing import run, try_all

JSON_TYPE, TEXT_TYPE = "application/json; charset=utf-8", "text/plain; charset=utf-8"
QUOTED_TYPE = 'text/html; charset="UTF-8"'


def respond(described: Any, query: str = "response", **job: Any) -> Rendered:
    """Return the answer to an output that describes a response."""
    return run(Response(), {"output": [json.dumps(described)], **job}, query)


def test_status_headers_and_body_are_the_jobs() -> None:
    answer = respond({"statusCode": 201, "headers": {"X-Rows": 3, "Content-Type": "text/csv"}, "body": "a,b\r\n"})
    assert (answer.status, answer.content_type, answer.text) == (201, "text/csv; charset=utf-8", "a,b\r\n")
    assert answer.header("X-Rows") == "3"
    assert answer.header("X-Content-Type-Options") == "nosniff"


@pytest.mark.parametrize(
    ("value", "line"),
    [
        *((value, None) for value in (None, [], [None])),
        *((value, "b") for value in (["b"], ["b", None])),
        (["b", "c", 1], "b, c, 1"),
        (1.0, "1"),
    ],
)
@pytest.mark.parametrize("name", ["X-A", "Vary"])
def test_a_header_may_be_null_or_a_list(name: str, value: Any, line: str | None) -> None:
    assert respond({"headers": {name: value}, "body": "x"}).header(name) == line


def test_also_under_response_as_theeyes_own_endpoint_has_it() -> None:
    inner = {"statusCode": "404", "body": "no such server"}
    answer = respond({"response": inner, "statusCode": 200})
    assert (answer.status, answer.text) == (404, "no such server")
    assert respond({"response": inner, "state": "success"}) == respond(inner)


@pytest.mark.parametrize(("query", "text"), [("response", "one"), ("response=0", "one"), ("response=1", "two")])
def test_an_index_says_which_output(query: str, text: str) -> None:
    answer = run(Response(), {"output": ['{"body":"one"}', '{"body":"two"}']}, query)
    assert answer.text == text


@pytest.mark.parametrize("value", ["x", "-1", "01", "1.0", "٣", " ", "9999999999", "1e3"])
def test_what_is_no_canonical_index_is_refused_before_the_job(value: str) -> None:
    with pytest.raises(BadQuery, match="must be an index"):
        run(Response(), {}, f"response={value}")


@pytest.mark.parametrize(
    ("described", "content_type", "body"),
    [
        ({"body": {"b": 1, "a": [2.0]}}, JSON_TYPE, b'{"b":1,"a":[2]}'),
        *(
            ({"body": value}, JSON_TYPE, text)
            for value, text in (([1, None], b"[1,null]"), (7, b"7"), (False, b"false"))
        ),
        ({"body": {"a": 1}, "headers": {"content-type": "application/a+json"}}, "application/a+json", b'{"a":1}'),
        ({"body": "señal"}, TEXT_TYPE, "señal".encode()),
        ({"body": "<p>", "headers": {"Content-Type": "text/html"}}, "text/html; charset=utf-8", b"<p>"),
        ({"body": "<p>", "headers": {"Content-Type": QUOTED_TYPE}}, QUOTED_TYPE, b"<p>"),
        *((described, TEXT_TYPE, b"") for described in ({"body": None}, {"statusCode": 200})),
        ({"body": "AP8=", "isBase64Encoded": True}, "application/octet-stream", b"\x00\xff"),
        ({"body": "AP8=", "isBase64Encoded": True, "headers": {"Content-Type": "image/png"}}, "image/png", b"\x00\xff"),
        ({"body": "AP8=", "isBase64Encoded": False}, "text/plain; charset=utf-8", b"AP8="),
        ({"body": "x", "isBase64Encoded": None, "headers": None}, "text/plain; charset=utf-8", b"x"),
    ],
)
def test_the_body_becomes_what_it_is(described: dict[str, Any], content_type: str, body: bytes) -> None:
    answer = respond(described)
    assert (answer.status, answer.content_type, answer.body) == (200, content_type, body)


@pytest.mark.parametrize("state", ["failure", "canceled", "timeout", None])
def test_a_failed_job_without_a_status_is_500(state: str | None) -> None:
    assert respond({"body": "x"}, state=state).status == 500
    assert respond({"body": "x", "statusCode": 418}, state=state).status == 418
    assert respond({"body": "x", "statusCode": None}, state=state).status == 500


@pytest.mark.parametrize(
    "location", ["/elsewhere?a=1#b", "https://example.org/a%20b", "http://[::1]:80/", "next", "?page=2", "//a.b/"]
)
def test_a_redirect(location: str) -> None:
    answer = respond({"statusCode": 302, "headers": {"Location": location}})
    assert (answer.status, answer.header("Location")) == (302, location)


NO_HEADERS = ('"X-A":[["b"]]', '"X-A":{"b":1}', '"X A":"b"', '"":"b"')
NOT_THE_JOBS = """
    Connection Keep-Alive Proxy-Connection Proxy-Authenticate TE Trailer Transfer-Encoding Upgrade
    HTTP2-Settings Content-Length Date Server ETag Set-Cookie set-cookie SET-COOKIE2 X-Job-Id x-job-state
    X-Job-Anything Access-Control-Allow-Origin access-control-expose-headers Preference-Applied X-Request-Id
    Idempotency-Key WWW-Authenticate Clear-Site-Data Strict-Transport-Security Alt-Svc Service-Worker-Allowed
    NEL Report-To X-Accel-Redirect X-Sendfile Status
"""


@pytest.mark.parametrize(
    ("output", "words"),
    [
        *((output, "not an array") for output in (None, "text")),
        ([], "no output at index 0"),
        ([7], "not a string"),
        *(([text], "not JSON") for text in ("plain", "[" * 100_000, "9" * 5000)),
        *(([text], "not a response") for text in ("[]", "null", '{"name":"tomer"}')),
        *(([f'{{"response":{inner}}}'], "not a response") for inner in ('"text"', "{}")),
        *(([f'{{"statusCode":{code}}}'], "statusCode") for code in ("199", "600", "true", '"200 OK"', "[200]")),
        (['{"headers":[]}'], "headers is not an object"),
        *(([f'{{"headers":{{{pair}}}}}'], "headers must have") for pair in NO_HEADERS),
        (['{"headers":{"X-A":"b","x-a":"c"}}'], "a name twice"),
        (['{"headers":{"Content-Type":"a/b","content-type":"c/d"}}'], "a name twice"),
        (['{"headers":{"Content-Security-Policy":"default-src *"}}'], "the service's own"),
        (['{"headers":{"x-content-type-options":"x"}}'], "the service's own"),
        *(([f'{{"body":"x","isBase64Encoded":{value}}}'], "isBase64Encoded") for value in ('"true"', "1")),
        *(([f'{{"body":{body},"isBase64Encoded":true}}'], "not base64") for body in ('"a b="', '"señal"', '{"a":1}')),
    ],
)
def test_what_is_no_response_is_refused_in_words(output: Any, words: str) -> None:
    with pytest.raises(BadOutput, match=words):
        run(Response(), {"output": output}, "response")


@pytest.mark.parametrize("name", NOT_THE_JOBS.split())
def test_a_header_that_is_not_the_jobs_to_set_is_refused(name: str) -> None:
    with pytest.raises(BadAnswer, match=f"the header {name} may not be set"):
        respond({"headers": {name: "1"}})


HARMFUL = {
    "X-A": ["b\r\nSet-Cookie: c=d", "b\nc", "b\n", "b\rc", "b\0c", "☕", "\x7f", "b" * 9000],
    "Content-Type": [
        *("text", "text/html\r\nX: y", "text/html\r\n", "text/html\n;charset=utf-8", "text/html; a=b\n"),
        *("text/html\u2003", "text/html; a=" + "b" * 300, "text/html, text/plain"),
        *("text/html; charset=utf-7", "text/html; charset=utf-16"),
    ],
    "Location": [
        *("javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "https:evil", "http:///path"),
        *("http://\\evil", "/\\evil", "/a b", "/a\n", "/señal"),
    ],
    "Refresh": ["0; url=javascript:alert(1)"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in HARMFUL.items() for value in values])
def test_a_header_that_could_do_harm_is_refused(name: str, value: str) -> None:
    with pytest.raises(BadAnswer):
        respond({"statusCode": 302, "headers": {name: value}, "body": "x"})


def test_half_a_character_cannot_be_sent() -> None:
    with pytest.raises(BadAnswer, match="surrogate"):
        run(Response(), {"output": ['{"body":"\\ud800"}']}, "response")


CAN_RUN = [
    *("text/html", "TEXT/HTML", "text/html ;charset=utf-8", "application/xhtml+xml", "image/svg+xml", "text/xml"),
    *("application/xml", "application/atom+xml", "multipart/x-mixed-replace; boundary=x", "application/whatever"),
]
HARMLESS = ["text/plain", "text/csv", "image/png", "application/pdf", "application/json", "application/problem+json"]


@pytest.mark.parametrize("content_type", [*CAN_RUN, *HARMLESS])
def test_what_a_browser_could_run_is_locked_down(content_type: str) -> None:
    answer = respond({"headers": {"Content-Type": content_type}, "body": "x"})
    policy = answer.header("Content-Security-Policy")
    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert (policy is not None) == (content_type in CAN_RUN)
    if policy is not None:
        assert {"default-src 'none'", "frame-ancestors 'none'", "sandbox"} <= set(policy.split("; "))
        assert "script" not in policy


def test_no_job_breaks_it() -> None:
    try_all(Response(), "response")


LETTERS = "aZ0/:;= \t\r\n\0é☕\ud800"


loose = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(LETTERS, max_size=20)
loose |= st.lists(loose, max_size=2) | st.dictionaries(st.text(LETTERS, max_size=5), loose, max_size=2)


header_names = st.sampled_from(["Content-Type", "Location", "X-A", "Set-Cookie"]) | st.text(LETTERS, max_size=10)


@given(
    described=st.fixed_dictionaries(
        {},
        optional={
            "statusCode": st.integers(0, 999) | loose,
            "headers": st.dictionaries(header_names, loose, max_size=3) | loose,
            "body": loose,
            "isBase64Encoded": st.booleans() | loose,
        },
    )
)
def test_any_description_is_a_legal_answer_or_a_refusal(described: dict[str, Any]) -> None:
    try:
        answer = respond(described)
    except (BadOutput, BadAnswer):
        return
    assert 200 <= answer.status <= 599
    for name, value in answer.headers:
        assert not {"\r", "\n", "\0"} & set(name + value)


def test_it_stands_between_full_and_parse_and_can_be_turned_off() -> None:
    registry = Registry()
    assert registry.choose({"parse": "", "response": ""}).name == "response"
    assert registry.choose({"full": "", "response": ""}).name == "full"
    assert Registry(disabled=["response"]).choose({"response": ""}).name == "output"
    with pytest.raises(RegistrationError, match="already"):
        registry.register(formatters.modes.response, "again")
