"""Test calls through a real proxy, and calls with a client's certificate."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.forward_proxy import ForwardProxy, forward_proxy
from support.processes import Service, free_port, full_listener
from support.sockets import relay, serving
from support.theeye import JOB, Html, StandIn
from support.tls import tls_server
from support.transport import opened

from app.errors import UpstreamFailed
from app.settings import Settings
from app.theeye.callers import Caller
from app.theeye.gateway import Gateway
from app.theeye.supervisor import Supervisor
from app.theeye.transport import AnswerLost, NotSent

TOKEN = [("Authorization", "Bearer tok-acme")]
PASSWORD = "ada:p:w/ñ"
USER = "ada:p%3Aw%2F%C3%B1@"  # the same in a URL


@contextmanager
def proxied(
    monkeypatch: pytest.MonkeyPatch, credentials: str = "", user: str = "", refusal: int = 0, carried_out: bool = False
) -> Iterator[ForwardProxy]:
    """Run a proxy that the environment names, with this user in its URL."""
    with forward_proxy(credentials, refusal, carried_out) as proxy:
        use(monkeypatch, proxy.url.replace("//", f"//{user}"))
        yield proxy


def use(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, url)


def failed_create(url: str) -> UpstreamFailed:
    """Make a create and return its error."""
    supervisor = Supervisor(Settings(supervisor_url=url))
    with pytest.raises(UpstreamFailed) as caught:
        supervisor.create(Caller("acme", "tok-acme"), JOB, b"[]")
    supervisor.transport.close()
    return caught.value


@pytest.fixture
def secure(theeye: StandIn, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the URL of the stand-in behind TLS, with a trusted certificate."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    with tls_server(certificate, theeye) as url:
        yield url


# -- plain http -------------------------------------------------------------------------------------------------------


def test_a_plain_proxy_is_asked_for_the_whole_url(theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxied(monkeypatch, PASSWORD, USER) as proxy, opened(f"{theeye.url}/base") as transport:
        replies = [transport.call("POST", "/x?a=1", TOKEN, b"[1]") for _ in range(2)]
    assert [reply.status for reply in replies] == [404, 404]
    assert proxy.lines == [f"POST {theeye.url}/base/x?a=1 HTTP/1.1"] * 2
    for call in theeye.calls:
        assert (call.target, call.body) == ("/base/x?a=1", b"[1]")
        assert (call.headers["host"], call.headers["authorization"]) == (f"127.0.0.1:{theeye.port}", "Bearer tok-acme")


@pytest.mark.parametrize("user", ["", "ada:wrong@"])
def test_a_plain_proxy_that_wants_a_password(user: str, theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxied(monkeypatch, PASSWORD, user):
        with opened(theeye.url) as transport:
            assert transport.call("GET", "/x").status == 407
        error = failed_create(theeye.url)
    assert "nothing was started" in error.message
    assert not error.may_have_started
    assert theeye.calls == []


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_plain_proxy_may_fail_after_the_start(status: int, theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxied(monkeypatch, refusal=status, carried_out=True):
        error = failed_create(theeye.url)
    assert "the job may have started" in error.message
    assert (error.code, error.may_have_started) == ("EOUTCOMEUNKNOWN", True)
    assert len(theeye.calls_of("create")) == 1


# -- https ------------------------------------------------------------------------------------------------------------


def test_a_tunnel_opens_once_and_shows_nothing(secure: str, theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxied(monkeypatch, PASSWORD, USER) as proxy, opened(secure) as transport:
        assert [transport.call("POST", "/x", TOKEN, b"[1]").status for _ in range(3)] == [404] * 3
    address = secure.removeprefix("https://")
    [(line, headers)] = proxy.heads
    assert line == f"CONNECT {address} HTTP/1.1"
    assert headers.keys() == {"host", "proxy-authorization"}
    assert headers["host"] == address
    assert len({call.connection for call in theeye.calls}) == 1
    assert all("proxy-authorization" not in call.headers for call in theeye.calls)
    assert {call.target for call in theeye.calls} == {"/x"}


@pytest.mark.parametrize("status", [403, 407, 502, 504])
def test_a_tunnel_that_is_refused_is_not_sent(
    status: int, secure: str, theeye: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxied(monkeypatch, refusal=status):
        with opened(secure) as transport, pytest.raises(NotSent, match=f"the proxy refused .* status {status}"):
            transport.call("POST", "/x", TOKEN, b"[]")
        error = failed_create(secure)
    assert "nothing was started" in error.message
    assert (error.code, error.may_have_started) == ("ESUPERVISOR", False)
    assert theeye.calls == []


def test_behind_a_tunnel_answers_are_theeyes(secure: str, theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    theeye.fault("create", Html(502))
    with proxied(monkeypatch):
        assert failed_create(secure).code == "ESUPERVISOR"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_connection_to_the_proxy_is_not_sent(scheme: str, theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, f"http://127.0.0.1:{free_port()}")
    with opened(theeye.url.replace("http", scheme)) as transport, pytest.raises(NotSent, match="cannot connect"):
        transport.call("POST", "/x", TOKEN, b"[]")
    with full_listener() as port:
        use(monkeypatch, f"http://127.0.0.1:{port}")
        with (
            opened(theeye.url.replace("http", scheme), connect_timeout=0.2) as transport,
            pytest.raises(NotSent, match="timed out"),
        ):
            transport.call("POST", "/x", TOKEN, b"[]")
    assert theeye.calls == []


CONNECT_ANSWERS = {
    "nothing": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nVia: x",
    "no TLS behind it": b"HTTP/1.1 200 OK\r\n\r\n",
    "two answers": b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("answer", CONNECT_ANSWERS.values(), ids=CONNECT_ANSWERS.keys())
def test_a_proxy_that_speaks_nonsense_is_not_sent(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(answer)

    with serving(serve) as port:
        use(monkeypatch, f"http://127.0.0.1:{port}")
        with opened("https://theeye.example") as transport, pytest.raises(NotSent, match="cannot connect"):
            transport.call("POST", "/x", TOKEN, b"[]")


def test_what_comes_before_tls_is_no_answer(secure: str, theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes arrive in one piece with the answer to CONNECT, and the tunnel behind it works."""

    def serve(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
        relay(client, int(secure.rpartition(":")[2]))

    with serving(serve) as port:
        use(monkeypatch, f"http://127.0.0.1:{port}")
        with opened(secure) as transport:
            assert b"forged" not in transport.call("GET", "/x").body
    assert [call.target for call in theeye.calls] == ["/x"]


def test_a_tunnel_that_is_never_answered_ends_with_the_connect_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        use(monkeypatch, f"http://127.0.0.1:{listener.getsockname()[1]}")
        with (
            opened("https://theeye.example", connect_timeout=0.2) as transport,
            pytest.raises(NotSent, match="timed out"),
        ):
            transport.call("POST", "/x", TOKEN, b"[]")


# -- the whole service ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("worker", ["gevent", "gthread"])
def test_the_service_behind_a_proxy(
    worker: str, theeye: StandIn, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway is called through a tunnel, the supervisor by whole URLs."""
    with forward_proxy(PASSWORD) as proxy, tls_server(certificate, theeye) as url:
        environment = {
            "SYNC_GATEWAY_URL": url,
            "SYNC_SUPERVISOR_URL": theeye.url,
            "ALL_PROXY": proxy.url.replace("//", f"//{USER}"),
            "CURL_CA_BUNDLE": str(certificate[0]),
        }
        with Service(environment, worker) as service:
            good = service.ask("POST", JOB)
            proxy.refusal, proxy.carried_out = 502, True
            bad = service.ask("POST", JOB)
            log = service.log_text()
    assert (good.status, good.header("X-Job-State")) == (200, "success")
    assert (bad.status, bad.json()["code"]) == (502, "EOUTCOMEUNKNOWN")
    assert len(theeye.calls_of("create")) == 2
    assert f"CONNECT {url.removeprefix('https://')} HTTP/1.1" in proxy.lines
    assert f"POST {theeye.url}{JOB} HTTP/1.1" in proxy.lines
    assert not any("profile" in line for line in proxy.lines)
    assert PASSWORD not in log
    assert USER not in log


# -- what the environment must not add --------------------------------------------------------------------------------


def test_a_netrc_adds_and_replaces_nothing(theeye: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("default login ada password hunter2\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with proxied(monkeypatch) as proxy, opened(theeye.url) as transport:
        transport.call("GET", "/x", TOKEN)
        transport.call("GET", "/x")
    assert [call.headers.get("authorization") for call in theeye.calls] == ["Bearer tok-acme", None]
    assert all("proxy-authorization" not in headers for _, headers in proxy.heads)


# -- a client's certificate -------------------------------------------------------------------------------------------


@pytest.fixture
def client_cert(certificate: tuple[Path, Path], tmp_path: Path) -> Path:
    """Return one file with certificate and key."""
    both = tmp_path / "client.pem"
    both.write_text(certificate[0].read_text() + certificate[1].read_text())
    return both


def test_a_client_certificate_is_shown(
    certificate: tuple[Path, Path], client_cert: Path, theeye: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with tls_server(certificate, theeye, clients=certificate[0]) as url:
        with opened(url, client_cert=str(client_cert)) as transport:
            assert [transport.call("GET", "/x").status for _ in range(2)] == [404, 404]
        with proxied(monkeypatch), opened(url, client_cert=str(client_cert)) as transport:
            assert transport.call("GET", "/x").status == 404
        with opened(url) as transport, pytest.raises((NotSent, AnswerLost)):
            transport.call("GET", "/without")
    assert len(theeye.calls) == 3


def test_the_setting_is_for_gateway_and_supervisor(
    certificate: tuple[Path, Path], client_cert: Path, theeye: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with tls_server(certificate, theeye, clients=certificate[0]) as url:
        variables = {"SYNC_CLIENT_CERT": str(client_cert), "SYNC_GATEWAY_URL": url, "SYNC_SUPERVISOR_URL": url}
        settings = Settings.from_env(variables)
        for side in (Gateway(settings), Supervisor(settings)):
            assert side.transport.call("GET", "/x").status == 404
            side.transport.close()
