"""Test the checks of gateway, supervisor and a token, without and with problems."""

import time

import pytest
from support.checks import SECRET, check, finding, lines, only
from support.faults import Fault
from support.settings import environment
from support.theeye import Html, Redirect, Reply, Silence, StandIn, Verbatim

ANSWERS: list[tuple[Fault, str]] = [
    (Html(404), "answers 404 to an unknown token, not 401. It is not TheEye: correct SYNC_%s_URL"),
    (Reply(200, {}), "answers 200 to an unknown token, not 401. It is not TheEye"),
    (Redirect("/login"), "answers 302 to an unknown token, not 401. It redirects"),
    (Html(502), "answers 502 to an unknown token, not 401. It fails, or a proxy in front of it cannot reach it"),
    (Html(403), "answers 403 to an unknown token, not 401. A proxy or firewall in front of it refuses this host"),
    (Verbatim(b"220 smtp.example.org ESMTP\r\n\r\n"), "gives no answer: no HTTP answer. It may not be an HTTP server"),
    (Silence(), "gives no answer: timed out. It accepts connections, but does not answer in 0.5 s"),
]
SIDES = ["gateway", "supervisor"]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("fault", "words"), ANSWERS)
def test_a_server_that_is_not_theeye(side: str, fault: Fault, words: str, theeye: StandIn) -> None:
    with StandIn() as odd:
        odd.fault("any", fault)
        seconds = "0.5" if isinstance(fault, Silence) else "10"
        environ = environment(theeye) | {f"SYNC_{side.upper()}_URL": odd.url, "SYNC_CALL_TIMEOUT": seconds}
        began = time.monotonic()
        status, output = check(**environ)
        assert time.monotonic() - began < 10, "the default is 15 seconds"
    assert status == 1
    line = only(output, side)
    assert line.startswith(f"FAIL {side} {odd.url} ")
    assert (words % side.upper() if "%s" in words else words) in line
    [other] = set(SIDES) - {side}
    assert only(output, other).startswith("ok")


def test_swapped_urls_are_recognised() -> None:
    with StandIn() as gateway, StandIn() as supervisor:
        gateway.fault("read", Html(404))
        supervisor.fault("profile", Reply(404, {"message": "not found"}))
        status, output = check(SYNC_GATEWAY_URL=supervisor.url, SYNC_SUPERVISOR_URL=gateway.url)
    assert status == 1
    swapped = "Are SYNC_GATEWAY_URL and SYNC_SUPERVISOR_URL swapped?"
    assert only(output, "gateway") == f"FAIL gateway {supervisor.url} is a TheEye supervisor. {swapped}"
    assert only(output, "supervisor") == f"FAIL supervisor {gateway.url} is a TheEye gateway. {swapped}"


def test_a_path_too_much(theeye: StandIn) -> None:
    line = finding("gateway", **environment(theeye) | {"SYNC_GATEWAY_URL": f"{theeye.url}/api"})
    assert line.endswith("Leave /api out of SYNC_GATEWAY_URL")


def test_a_slow_side_is_told(theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.checks.theeye.SLOW", 0.0)
    assert "That is slow" in finding("gateway", 0, **environment(theeye))


def test_a_token_from_standard_input(theeye: StandIn) -> None:
    theeye.tokens[SECRET] = theeye.tokens["tok-beta"]
    status, output = check("--token", "-", stdin=f"{SECRET}\n", **environment(theeye))
    assert status == 0
    assert [line.split()[:3] for line in lines(output, "token")] == [
        ["ok", "token", word] for word in ("customer", "the")
    ]
    assert "customer beta" in output


@pytest.mark.parametrize("token", [f"{SECRET} x", f"{SECRET}\x00", f"{SECRET}ñ"])
def test_a_token_that_no_header_can_carry(token: str) -> None:
    assert check("--token", "-", stdin=token) == (2, check(SYNC_CHECK_TOKEN=f"{SECRET} x")[1])


def test_an_unknown_token(theeye: StandIn) -> None:
    line = finding("token", **environment(theeye), SYNC_CHECK_TOKEN=SECRET)
    assert line.startswith("FAIL token the gateway does not know it")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Reply(401, "Unauthorized"), "the gateway knows it, the supervisor does not"),
        (Reply(404, "organization not found"), "the supervisor knows no customer acme"),
        (Reply(403, SECRET), "the supervisor refuses it (403)"),
        (Reply(409, {}), "the supervisor refuses it (409)"),
        (Html(502), "the supervisor answers 502, not 404"),
        (Silence(), "the supervisor did not answer: timed out"),
    ],
)
def test_a_token_that_the_supervisor_does_not_take(fault: Fault, words: str, theeye: StandIn) -> None:
    theeye.tokens[SECRET] = theeye.tokens["tok-acme"]
    theeye.fault("read", fault, when=lambda call: SECRET in call.headers.get("authorization", ""))
    seconds = "0.5" if isinstance(fault, Silence) else "10"
    status, output = check(**environment(theeye), SYNC_CHECK_TOKEN=SECRET, SYNC_CALL_TIMEOUT=seconds)
    assert status == 1
    assert words in lines(output, "token")[1]
