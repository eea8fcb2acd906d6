"""Test that the proxy and the certificates in use are named without a password, and that their errors are explained."""

from pathlib import Path

import pytest
from support.checks import SECRET, check, finding, lines, only
from support.forward_proxy import forward_proxy
from support.processes import free_port
from support.settings import environment
from support.theeye import StandIn
from support.tls import make_certificate, tls_server


def test_a_plain_proxy_is_named_without_its_password(theeye: StandIn) -> None:
    with forward_proxy("ada:hunter2") as proxy:
        variables = environment(theeye) | {"HTTP_PROXY": proxy.url.replace("//", "//ada:hunter2@")}
        status, output = check(**variables)
        assert status == 0
        for side in ("gateway", "supervisor"):
            words = f"{theeye.url} is a TheEye {side}, through the proxy {proxy.url} (HTTP_PROXY), and answered in "
            assert words in only(output, side)
        assert "proxy" not in finding("gateway", 0, **variables, NO_PROXY="127.0.0.1")
        line = finding("gateway", **variables | {"HTTP_PROXY": proxy.url})
        assert "answers 407 to an unknown token" in line
        assert f"through the proxy {proxy.url} (HTTP_PROXY)" in line


def test_a_tunnel_and_the_certificates_are_named(theeye: StandIn, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    theeye.tokens[SECRET] = theeye.tokens["tok-acme"]
    with forward_proxy("ada:hunter2") as proxy, tls_server((certificate, key), theeye) as url:
        variables = {
            "SYNC_GATEWAY_URL": url,
            "SYNC_SUPERVISOR_URL": url,
            "https_proxy": proxy.url.replace("//", "//ada:hunter2@"),
            "REQUESTS_CA_BUNDLE": str(certificate),
        }
        status, output = check(**variables, SYNC_CHECK_TOKEN=SECRET)
        assert status == 0
        way = (
            f"through the proxy {proxy.url} (https_proxy), with the certificates of {certificate} (REQUESTS_CA_BUNDLE)"
        )
        assert f"{url} is a TheEye gateway, {way}, and answered in " in only(output, "gateway")
        assert all(line.startswith("ok") for line in lines(output, "token"))
        assert all(line.startswith("CONNECT ") for line in proxy.lines)
        line = finding("supervisor", **variables | {"https_proxy": proxy.url})
        refused = f"the proxy {proxy.url} refused to connect to {url[8:]}, with status 407. Write user and password"
        assert refused in line
        proxy.refusal = 503
        assert "with status 503. Look at the proxy's log" in finding("supervisor", **variables)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there(scheme: str, theeye: StandIn) -> None:
    port = free_port()
    environ = {name: url.replace("http", scheme) for name, url in environment(theeye).items()}
    line = finding("gateway", **environ, ALL_PROXY=f"http://ada:hunter2@127.0.0.1:{port}")
    assert f"nothing listens on 127.0.0.1:{port}" in line
    assert f"(SYNC_GATEWAY_URL, through the proxy http://127.0.0.1:{port} (ALL_PROXY)" in line


def test_a_proxy_that_is_none(theeye: StandIn) -> None:
    environ = environment(theeye) | {"SYNC_GATEWAY_URL": "https://theeye.example", "HTTPS_PROXY": theeye.url}
    assert f"the proxy {theeye.url} refused to connect to theeye.example:443" in finding("gateway", **environ)


def test_what_stops_the_start_is_a_finding(theeye: StandIn, tmp_path: Path) -> None:
    status, output = check(
        **environment(theeye), HTTP_PROXY="socks5://ada:hunter2@proxy.example", SYNC_CHECK_TOKEN=SECRET
    )
    assert status == 1
    for side in ("gateway", "supervisor"):
        assert only(output, side).startswith(f"FAIL {side} HTTP_PROXY must be an http:// URL")
    assert only(output, "token").startswith("warn token not checked: HTTP_PROXY ")
    nothing = str(tmp_path / "nothing.pem")
    assert "SSL_CERT_FILE names" in finding("gateway", **environment(theeye), SSL_CERT_FILE=nothing)
    refused = finding("settings", **environment(theeye), SYNC_CLIENT_CERT=nothing)
    assert "SYNC_CLIENT_CERT cannot be read: No such file or directory" in refused
