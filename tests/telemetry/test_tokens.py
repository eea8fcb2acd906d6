"""Test tokens in their proper places, and elsewhere: in a path, after any of their names."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from support.client import ask, close, error_of, post
from support.theeye import JOB, TASK, Reply, StandIn
from support.workflows import WORKFLOW_JOB

from app import Settings, create_app
from app.telemetry.redaction import redact
from app.telemetry.tokens import cut_path, mask, possible_tokens


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
    assert possible_tokens({"HTTP_AUTHORIZATION": header, "QUERY_STRING": query}) == found


def test_an_empty_secret_hides_nothing() -> None:
    assert mask(("", "b"), "abc") == "a***c"


TWICE = "".join(f"%25{ord(letter):02x}" for letter in "access_token=s3/cr3t")
NAMED = """
    access_token=s3/cr3t ACCESS_Token=s3/cr3t access_token%3Ds3%2Fcr3t %61ccess%5ftoken=s3cr3t access_token[]=s3cr3t
    access_token:s3cr3t access_token%20=%20s3cr3t access_token%00=s3cr3t access_token%20s3cr3t access_token&s3cr3t
    access_tokens+s3cr3t amp;access_token=s3cr3t a=1;access-token=s3cr3t accessToken=s3cr3t;b=1
    access_token=a&access_token=s3cr3t token=s3cr3t id_token:%20s3cr3t Bearer%20s3cr3t bearer+s3cr3t
    Authorization:%20Bearer%20s3cr3t authorization=s3cr3t authorization%20s3cr3t auth_token%2Fs3cr3t token%20s3cr3t
    tokens=s3cr3t api_key=s3cr3t token(s3cr3t) jwt~s3cr3t tokens!s3cr3t token@s3cr3t bearer|s3cr3t api-key*s3cr3t
    token[s3cr3t] jwt%20s3cr3t token%2528s3cr3t token's3cr3t'
"""


@pytest.fixture(scope="module")
def shared_client(shared_theeye: StandIn) -> Iterator[FlaskClient]:
    app = create_app(Settings(gateway_url=shared_theeye.url, supervisor_url=shared_theeye.url))
    yield app.test_client()
    close(app)


@pytest.mark.parametrize("target", ["/acme{}/task/x/job", "/acme/workflow/x{}/job", JOB + "{}", JOB + "/x{}", "{}"])
@pytest.mark.parametrize("named", [*NAMED.split(), TWICE, quote(TWICE)])
def test_a_token_named_in_the_path_is_told_to_nobody(
    named: str, target: str, shared_client: FlaskClient, shared_theeye: StandIn, capfd: pytest.CaptureFixture[str]
) -> None:
    for separator in ("/", "&", ";", "x%3B"):
        path = target.format(f"{separator}{named}")
        got = ask(shared_client, "POST", path, Authorization="", X_Request_Id="s3cr3t")
        error_of(got, 404, "ENOTFOUND")
        told = f"{got.get_data(as_text=True)}{got.headers}{''.join(capfd.readouterr())}"
        assert "cr3t" not in told
        assert "***" in told
    assert shared_theeye.calls == []


@pytest.mark.parametrize("name", ["token", "Bearer", "basic", "%62asic", "api-key", "JWT"])
def test_a_token_in_a_segment_of_its_own_is_cut_where_no_route_has_such_a_name(name: str) -> None:
    below = f"{WORKFLOW_JOB}/{name}/s3cr3t", f"{JOB}/j1/{name}//s3/cr3t", f"{JOB}%2F{name}%2Fs3cr3t"
    above = f"/{name}/s3cr3t/task/x/job", f"/a/{name}/s3cr3t", f"/a/task/{name}/s3cr3t/job", f"/{name}%252Fs3cr3t"
    for path in (*below, *above):
        assert "cr3t" not in cut_path(path)
    for path in (
        f"/acme/task/{name}/job",
        f"/{name}/task/x/job",
        f"/{name}/task",
        f"/a/workflow/{name}/job/j",
        f"{JOB}/{name}",
    ):
        assert cut_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "/token/task/x/job",
        "/bearer/task",
        "/a%25b",
        "/access_token",
        "/a/tokens",
        "/ñ",
        "/token-team/task",
        "/jwt.io/task",
    ],
)
def test_a_path_that_names_none_is_as_it_was(path: str) -> None:
    assert cut_path(path) == path


def test_what_is_encoded_too_often_is_not_shown(client: FlaskClient) -> None:
    path = "/a%" + "25" * 9 + "73"
    assert error_of(ask(client, "GET", path), 404, "ENOTFOUND")["message"] == "*** not found"


def test_an_error_repeats_no_token(client: FlaskClient, theeye: StandIn) -> None:
    """The token is neither in the method, the path nor TheEye's words; error_of looks for `tok-acme`."""
    error_of(ask(client, "GET", "/a/tok-acme?access_token=tok-acme"), 404, "ENOTFOUND")
    error_of(ask(client, "TOK-ACME", JOB, Authorization="Bearer TOK-ACME"), 405, "EMETHOD")
    theeye.fault(
        "create",
        Reply(
            400,
            {
                "message": "no access_token=tok-b, sir",
                "errors": ["Bearer tok-b", 1],
                "Auth-Token": "tok-b",
                "Bearer tok-b": 1,
            },
        ),
        times=1,
    )
    refused = error_of(post(client), 400, "")
    assert refused["value"] == {
        "message": "no access_token=*** sir",
        "errors": ["Bearer ***", 1],
        "Auth-Token": "***",
        "Bearer ***": 1,
    }


@pytest.mark.parametrize("header", ["X-Request-Id", "traceparent", "tracestate"])
@pytest.mark.parametrize("value", ["access_token=s3cr3t", "token=s3cr3t", "Bearer:s3cr3t"])
def test_a_token_in_a_header_goes_nowhere(header: str, value: str, client: FlaskClient, theeye: StandIn) -> None:
    sent = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"} | {header: value}
    got = post(client, **sent)
    assert got.status_code == 200
    assert "s3cr3t" not in f"{got.headers}{[call.headers for call in theeye.calls]}"


def test_a_token_in_the_value_of_a_mode_is_not_in_location(client: FlaskClient, theeye: StandIn) -> None:
    theeye.task(delay=None)
    for value in ("0?access_token=tok-other", "tok-acme", "Bearer%20tok-other"):
        got = post(client, f"{JOB}?parse={value}&wait=0")
        assert got.headers["Location"] == f"/acme/task/{TASK}/job/{got.headers['X-Job-Id']}?parse"


def test_a_message_keeps_what_is_no_token() -> None:
    message = "Invalid token: expired. GET /x?token=a%3Db&b=1 Bearer a, b. GET /x/token(a Unexpected token { in JSON"
    kept = "Invalid token: expired. GET /x?token=*** Bearer *** b. GET /x/token(*** Unexpected token { in JSON"
    assert redact(message) == kept
