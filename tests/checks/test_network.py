"""Test hosts that cannot be reached: no name, no server, no connection, no valid certificate."""

import socket
import threading
import time
from pathlib import Path

import pytest
from support.checks import finding, talker
from support.processes import free_port, full_listener
from support.settings import environment
from support.theeye import StandIn
from support.tls import make_certificate, tls_server


@pytest.mark.parametrize("side", ["gateway", "supervisor"])
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:PORT", "nothing listens on 127.0.0.1:PORT. Start it there, or correct the port"),
        ("http://nowhere.invalid", "the name nowhere.invalid does not resolve"),
        ("http://" + "x" * 64 + ".invalid", "does not resolve"),
    ],
)
def test_nobody_there(side: str, url: str, words: str, theeye: StandIn) -> None:
    port = str(free_port())
    variable = f"SYNC_{side.upper()}_URL"
    line = finding(side, **environment(theeye) | {variable: url.replace("PORT", port)})
    assert words.replace("PORT", port) in line
    assert line.endswith(f"({variable})")


def test_a_name_server_that_does_not_answer_is_not_waited_for(theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answered.wait(30) and [])
    began = time.monotonic()
    line = finding("gateway", **environment(theeye), SYNC_CONNECT_TIMEOUT="0.2")
    answered.set()
    assert time.monotonic() - began < 20, "the resolver takes 30 seconds"
    assert "the name 127.0.0.1 was not resolved within 0.2 s. Look at this host's DNS" in line


def test_a_host_that_takes_no_connection(theeye: StandIn) -> None:
    with full_listener() as port:
        environ = environment(theeye) | {"SYNC_GATEWAY_URL": f"http://127.0.0.1:{port}", "SYNC_CONNECT_TIMEOUT": "0.3"}
        line = finding("gateway", **environ)
    assert f"127.0.0.1:{port} did not accept a connection within 0.3 s. Look for a firewall" in line


def test_certificates(tmp_path: Path, theeye: StandIn) -> None:
    def gateway(url: str, status: int = 1, **environ: str) -> str:
        return finding("gateway", status, **environment(theeye) | {"SYNC_GATEWAY_URL": url} | environ)

    certificate = make_certificate(tmp_path)
    trusted = {"SSL_CERT_FILE": str(certificate[0])}
    with tls_server(certificate, theeye) as url:
        assert "is not accepted: self-signed certificate. Use the host name that is in the certificate" in gateway(url)
        redis = finding("redis", **environment(theeye), SYNC_REDIS_URL=url.replace("https", "rediss"))
        assert "has a certificate that is not accepted. Name its authority's file" in redis
        other_name = gateway(url.replace("127.0.0.1", "localhost"), **trusted)
        assert "certificate is not valid for 'localhost'" in other_name
        assert gateway(url, 0, **trusted).startswith("ok")
        assert "It may not be an HTTP server, or it may need TLS" in gateway(url.replace("https", "http"))
    with talker(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        assert "does not answer with TLS" in gateway(f"https://127.0.0.1:{port}")
