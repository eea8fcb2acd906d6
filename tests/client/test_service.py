"""Test how a service is called: the token is sent to it only; proxies and CA bundles are those of requests."""

from pathlib import Path

import pytest
from support.command import HERE, command, recorder
from support.forward_proxy import forward_proxy
from support.theeye import StandIn
from support.tls import make_certificate, tls_server

EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]"


def bearers(heads: list[bytes]) -> list[bytes]:
    return [line for head in heads for line in head.split(b"\r\n") if line.lower().startswith(b"authorization")]


def test_a_netrc_does_not_replace_the_token(tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password hunter2\n")
    with recorder(EMPTY) as (url, heads):
        assert command(url, "tasks", "acme", NETRC=str(netrc)).exit_code == 0
    assert bearers(heads) == [b"Authorization: Bearer tok-acme"]


def test_a_redirect_is_not_followed() -> None:
    with recorder(EMPTY) as (other, others):
        moved = f"HTTP/1.1 307 X\r\nLocation: {other}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        with recorder(moved.encode()) as (url, heads):
            ran = command(url, "tasks", "acme")
    assert (ran.exit_code, len(heads), others) == (5, 1, [])


def test_the_token_comes_from_standard_input_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("tok-file\n")
    file.chmod(0o600)
    with recorder(EMPTY) as (url, heads):
        command(url, "tasks", "acme", "--token", "-", stdin=b"tok-stdin\n")
        command(url, "tasks", "acme", "--token-file", str(file))
        assert command(url, "tasks", "acme", "--token", "-", stdin=b"\xff\n").exit_code == 2
        for mode in (0o640, 0o604, 0o620):
            file.chmod(mode)
            refused = command(url, "tasks", "acme", "--token-file", str(file))
            assert (refused.exit_code, "chmod 600" in refused.stderr) == (2, True)
    assert bearers(heads) == [b"Authorization: Bearer tok-stdin", b"Authorization: Bearer tok-file"]


@pytest.mark.parametrize("token", ["", "two words", "tok\x01", "é"])
def test_no_token_or_none_that_can_be_one(token: str) -> None:
    ran = command("http://127.0.0.1:1", "tasks", "acme", SYNC_TOKEN=token)
    assert ran.exit_code == 2
    assert "token" in ran.stderr


@pytest.mark.parametrize(
    ("url", "words"),
    [
        *((f"http://{host}/", "plain http") for host in ("example.org", "10.0.0.1", "localhost.example.org", "[::2]")),
        *((url, "the URL of") for url in ("x", "ftp://x", "http://", "https://x:y", "https://x?a", "https://x#a")),
        *((f"http://{host}/", "the URL of") for host in ("a:hunter2@localhost", "localhost@x", "localhost\\@x")),
    ],
)
def test_a_url_that_would_show_the_token_or_is_none(url: str, words: str) -> None:
    ran = command(url, "run", HERE)
    assert ran.exit_code == 2
    assert words in ran.stderr
    assert "hunter2" not in ran.stderr


@pytest.mark.parametrize("url", ["https://a..b", f"https://{'a' * 64}.org", "https://*", "https://x"])
def test_a_host_or_a_proxy_that_cannot_be_one(url: str) -> None:
    ran = command(url, "tasks", "acme", HTTPS_PROXY="http://u:hunter2@.x:3" if url == "https://x" else "")
    assert (ran.exit_code, ran.stderr.startswith("no answer from the service")) == (5, True)
    assert "hunter2" not in ran.stderr


@pytest.mark.parametrize("rest", ["@", "@h:port", "@h:99999", "@[::1", "#er2@h", "\u20ac@h"])
def test_a_proxy_that_cannot_be_used_is_refused_without_its_password(rest: str) -> None:
    ran = command("https://x", "run", HERE, HTTPS_PROXY=f"http://user:hunt{rest}")
    assert (ran.exit_code, "HTTPS_PROXY" in ran.stderr) == (2, True)
    assert "hunt" not in ran.stderr


def test_plain_http_through_a_proxy_on_another_machine_is_refused_too() -> None:
    for proxy in ("http://proxy.invalid:3128", "proxy.invalid:3128"):
        ran = command("http://127.0.0.1:1", "run", HERE, HTTP_PROXY=proxy)
        assert (ran.exit_code, "plain http" in ran.stderr) == (2, True)
    allowed = command("http://127.0.0.1:1", "run", HERE, "--insecure", HTTP_PROXY="http://proxy.invalid:3128")
    assert allowed.exit_code == 5
    assert allowed.stderr.endswith("nothing was started\n")


def test_proxies_and_bundles_are_those_of_requests(tmp_path: Path, theeye: StandIn) -> None:
    certificate = make_certificate(tmp_path)
    with tls_server(certificate, theeye) as url, forward_proxy() as proxy:
        distrusted = command(url, "run", HERE)
        assert distrusted.exit_code == 5
        assert "certificate" in distrusted.stderr
        assert distrusted.stderr.endswith("nothing was started\n")
        missing = command(url, "run", HERE, REQUESTS_CA_BUNDLE=str(tmp_path / "none.pem"))
        assert (missing.exit_code, "invalid path" in missing.stderr) == (5, True)
        theeye.calls.clear()
        command(url, "tasks", "acme", HTTPS_PROXY=proxy.url, REQUESTS_CA_BUNDLE=str(certificate[0]))
        assert len(theeye.calls) == 1
        assert [line.rpartition(" ")[0] for line in proxy.lines] == [f"CONNECT {url.removeprefix('https://')}"]
