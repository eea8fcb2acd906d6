"""Test nginx's limit of requests for one token, set in deploy/nginx.conf."""

import socket
from collections.abc import Iterator

import pytest
from support.host_checks import CORS, TOKEN, ask, check_logs
from support.nginx import Nginx, check_refusal
from support.processes import RawResponse, Service, read_response, wait_until
from support.settings import environment
from support.theeye import StandIn

SLOW = {"rate=50r/s": "rate=1r/s"}  # so that a busy machine, too, asks faster than that


@pytest.fixture(scope="module")
def service(shared_theeye: StandIn) -> Iterator[Service]:
    with Service(environment(shared_theeye)) as service:
        yield service


@pytest.fixture
def nginx(service: Service) -> Iterator[Nginx]:
    with Nginx(service.port, changes=SLOW) as nginx:
        yield nginx
        nginx.stop()
        wait_until(lambda: " 429 " in nginx.access_log(), 20, "the access log")
        check_logs(nginx.directory, service.directory)


def test_a_token_that_comes_too_often_is_told_so(nginx: Nginx) -> None:
    allowed, refused = exhaust(nginx, f"/api/status?access_token={TOKEN}1")
    assert allowed >= 100
    check_refusal(refused, 429, "ERATE")
    assert refused.header("Retry-After") == "1"
    again, _ = exhaust(nginx, f"/api/status?a=b&access_token={TOKEN}1")
    header, refused = exhaust(
        nginx, "/api/status", f"Authorization: bearer  {TOKEN}1\r\nOrigin: https://app.example\r\n"
    )
    assert again + header < 100, "one token, wherever it stands"
    check_refusal(refused, 429, "ERATE", [("Access-Control-Allow-Origin", "https://app.example"), *CORS[1:]])
    assert refused.header("Vary") == "Origin"
    assert ask(nginx.url, f"/api/status?access_token={TOKEN}2", Authorization="").status == 200, "another token"
    assert ask(nginx.url, "/api/status", Authorization="").status == 200, "no token"


def test_a_token_in_disguise_is_counted_by_its_address(nginx: Nginx) -> None:
    exhaust(nginx, "/api/status?access%5Ftoken=x")
    allowed, refused = exhaust(nginx, "/api/status?access_token=%79")
    assert allowed < 100
    check_refusal(refused, 429, "ERATE")


def exhaust(nginx: Nginx, target: str, headers: str = "") -> tuple[int, RawResponse]:
    """Send many requests fast over one connection; return how many were accepted, and the refusal."""
    with socket.create_connection(("127.0.0.1", nginx.port), 10) as sock:
        for number in range(1000):
            sock.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
            if (got := read_response(sock)).status != 200:
                return number, got
    raise AssertionError("1000 requests were let through")
