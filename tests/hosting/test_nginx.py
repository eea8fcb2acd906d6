"""Test gunicorn behind nginx, with deploy/nginx.conf unchanged."""

import json
import re
import signal
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from support.host_checks import (
    JOB,
    TOKEN,
    ask,
    check_events,
    check_graceful_stop,
    check_logs,
    check_own_answers,
    check_parallel_waits,
    check_seed_examples,
    finish_all,
    parked,
    run,
    say_the_token_everywhere,
)
from support.nginx import UNDER_SYNC, Nginx, Upstream, check_refusal
from support.proc import CONNECTED, children, sockets
from support.processes import Redis, Service, free_port, raw_request, read_response, wait_until
from support.settings import environment
from support.theeye import StandIn
from support.tls import make_certificate

SEEN = ["--access-logfile", "-", "--access-logformat", "seen %(h)s %({wsgi.url_scheme}e)s %(U)s"]


@dataclass(frozen=True)
class World:
    theeye: StandIn
    service: Service
    nginx: Nginx

    @property
    def url(self) -> str:
        return self.nginx.url


@pytest.fixture(scope="module")
def world(redis_server: Redis) -> Iterator[World]:
    with StandIn(redis_server.url) as theeye:
        env = environment(theeye, redis_url=redis_server.url, proxies=1)
        with Service(env, args=SEEN) as service, Nginx(service.port) as nginx:
            yield World(theeye, service, nginx)


@pytest.mark.parametrize("worker", ["gevent", "gthread"])
def test_examples_waits_and_a_graceful_stop(worker: str, theeye_redis: StandIn, redis_server: Redis) -> None:
    env = environment(theeye_redis, redis_url=redis_server.url, proxies=1)
    with Service(env, worker) as service, Nginx(service.port) as nginx:
        check_seed_examples(nginx.url, theeye_redis)
        check_parallel_waits(nginx.url, theeye_redis)
        check_events(nginx.url, theeye_redis)
        for _ in range(5):  # the answer comes while the body is on its way, and is not lost for that
            got = run(nginx.url, "y" * (15 << 20), Authorization="Bearer nobody")
            assert (got.status, got.body) == (401, b'"Unauthorized"')
        check_graceful_stop(nginx.url, theeye_redis, stop=service.terminate)
        assert service.wait() == 0
        check_refusal(run(nginx.url), 502, "EUNREACHABLE")
        check_logs(nginx.directory, service.directory)


# -- connections ------------------------------------------------------------------------------------------------


def test_connections_to_gunicorn_are_kept(world: World) -> None:
    world.theeye.task()
    for _ in range(5):
        assert run(world.url, 1).status == 200
    kept = peers(world.service.port)
    assert kept
    for _ in range(20):
        assert run(world.url, 1).status == 200
    now = peers(world.service.port)
    assert kept & now, "they stay"
    assert len(now) < 10, "and serve more than one request: each of nginx's processes keeps its own"


def peers(port: int) -> set[int]:
    """Return the other ends of the established connections to a local port."""
    return {each.remote_port for each in sockets() if each.port == port and each.state == CONNECTED}


# -- bodies -----------------------------------------------------------------------------------------------------


def test_a_large_output_comes_whole_to_a_slow_reader(world: World) -> None:
    output = "x" * (16 << 20)
    world.theeye.task(output=[output], result={})
    data = f"POST {JOB} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", world.nginx.port), 20) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.sendall(data.encode())
        assert sock.recv(15, socket.MSG_WAITALL | socket.MSG_PEEK) == b"HTTP/1.1 200 OK"
        got = read_response(sock)
    assert got.complete
    assert got.body == json.dumps([output]).encode()
    check_nothing_was_written(world.nginx)


def check_nothing_was_written(nginx: Nginx) -> None:
    """Check that the directories for bodies are empty; nginx deletes the files in them, but keeps subdirectories."""
    assert [list((nginx.directory / place).iterdir()) for place in ("body", "proxy")] == [[], []]


def test_a_large_body_arrives(world: World) -> None:
    world.theeye.task()
    argument = "y" * (15 << 20)
    assert run(world.url, argument).status == 200
    assert world.theeye.calls_of("create")[-1].body == json.dumps({"task_arguments": [argument]}).encode()
    check_nothing_was_written(world.nginx)


def test_a_body_that_is_too_large(world: World) -> None:
    before = len(world.theeye.calls_of("create"))
    head = f"POST {JOB}?access_token={TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Length: {(16 << 20) + 1}\r\n\r\n"
    check_refusal(raw_request("127.0.0.1", world.nginx.port, head.encode()), 413, "ETOOLARGE")
    assert len(world.theeye.calls_of("create")) == before


# -- who asks -----------------------------------------------------------------------------------------------------


def test_what_a_client_says_about_itself_ends_at_nginx() -> None:
    forged = {
        "X_Forwarded_For": "6.6.6.6",
        "X_Forwarded_Proto": "https",
        "X_Forwarded_Host": "evil.example",
        "X_Forwarded_Prefix": "/evil",
        "X_Request_Id": "evil\tid",
        "Origin": "https://app.example",
    }
    with Upstream() as upstream, Nginx(upstream.port) as nginx:
        for headers in (forged, {"X_Request_Id": "mine-1.2"}, {}):
            ask(nginx.url, "/%2F//a%20b/../c?x=%2f", **headers)
    for head in upstream.heads:
        assert head.startswith("GET /%2F//a%20b/../c?x=%2f HTTP/1.1\r\n"), "the path goes on as it came"
        assert re.findall(r"(?i)^x-forwarded-.*$", head, re.MULTILINE) == [
            "X-Forwarded-For: 127.0.0.1\r",
            "X-Forwarded-Proto: http\r",
            "X-Forwarded-Host: 127.0.0.1\r",
        ]
        assert not re.search(r"(?i)^connection:", head, re.MULTILINE)
    ids = [re.findall(r"(?i)^x-request-id: (.*)\r$", head, re.MULTILINE) for head in upstream.heads]
    assert ids[1] == ["mine-1.2"]
    for [name] in (ids[0], ids[2]):
        assert re.fullmatch("[0-9a-f]{32}", name)


def test_the_service_sees_the_client(world: World) -> None:
    """nginx gives the client's address, and the service trusts it; nginx drops the forged address."""
    assert ask(world.url, "/api/status?who", X_Forwarded_For="6.6.6.6").status == 200
    wait_until(lambda: "seen 127.0.0.1 http /api/status" in world.service.log_text(), 20, "the access log")
    assert ask(world.service.url, "/healthz?who", X_Forwarded_For="9.9.9.9", X_Forwarded_Proto="https").status == 200
    wait_until(lambda: "seen 9.9.9.9 https /healthz" in world.service.log_text(), 20, "the access log")


def test_under_a_path_of_its_own(theeye: StandIn) -> None:
    changes = UNDER_SYNC | {"gzip off;": "gzip on; gzip_min_length 1;"}
    with Service(environment(theeye, proxies=1)) as service, Nginx(service.port, changes=changes) as nginx:
        check_events(f"{nginx.url}/sync", theeye)
        theeye.task(delay=None)
        accepted = run(f"{nginx.url}/sync", Prefer="respond-async", X_Forwarded_Prefix="/evil")
        late = run(f"{nginx.url}/sync", query="wait=0&parse")
        assert (accepted.status, late.status) == (202, 504)
        for got, mode in ((accepted, ""), (late, "?parse")):
            assert got.header("Location") == f"/sync{JOB}/{got.header('X-Job-Id')}{mode}"
        finish_all(theeye)
        again = ask(nginx.url, str(late.header("Location")))
        assert again.status == 200


def test_a_client_that_hangs_up_is_seen_to_have_gone(world: World) -> None:
    world.theeye.task(delay=None)
    before = len(world.theeye.jobs)
    head = f"POST {JOB}?on_disconnect=cancel&access_token={TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", world.nginx.port), 5) as sock:
        sock.sendall(head.encode())
        world.theeye.wait_for_jobs(before + 1)
    world.theeye.wait_for_calls("cancel", 1)


# -- when gunicorn is not there -------------------------------------------------------------------------------------


def test_nothing_behind_nginx() -> None:
    for upstreams in ([free_port()], [free_port(), free_port()]):
        with Nginx(*upstreams) as nginx:
            got = run(nginx.url)
            check_refusal(got, 502, "EUNREACHABLE")
            assert got.header("Retry-After") == "1"


def test_no_answer_in_time() -> None:
    """The real limit is longer than the longest request, so the test shortens it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        nginx = Nginx(silent.getsockname()[1], changes={"proxy_read_timeout    120s": "proxy_read_timeout 1s"})
        with nginx:
            check_refusal(run(nginx.url), 504, "EOUTCOMEUNKNOWN")


def test_what_nginx_cannot_read(world: World) -> None:
    check_refusal(ask(world.url, "/../.."), 400, "EINVALID")
    check_refusal(ask(world.url, "/" + "x" * 20000), 414, "EINVALID")
    check_refusal(ask(world.url, "/", X_Long="x" * 20000), 400, "EINVALID")
    check_refusal(ask(world.url, "/", "TRACE"), 405, "EMETHOD")
    check_refusal(ask(world.url, "/refused"), 404, "ENOTFOUND")


def test_a_reload_of_nginx_cuts_no_wait(world: World) -> None:
    with parked(world.url, world.theeye, 10) as waits:
        old = children(world.nginx.pid)
        world.nginx.signal(signal.SIGHUP)
        wait_until(lambda: not set(old) >= set(children(world.nginx.pid)), 20, "new workers")
        finish_all(world.theeye)
        check_own_answers(waits)


# -- TLS ------------------------------------------------------------------------------------------------------------


def test_the_tls_block_filled_in(world: World) -> None:
    port = free_port()
    nginx = Nginx(world.service.port, changes={"#listen 443": f"listen 127.0.0.1:{port}", "#ssl_": "ssl_"})
    certificate, _ = make_certificate(nginx.directory, "fullchain.pem", "privkey.pem", "localhost")
    context = ssl.create_default_context(cafile=certificate)
    context.set_alpn_protocols(["h2"])
    with nginx:
        with connected(port, context) as sock:
            assert (sock.selected_alpn_protocol(), sock.version()) == ("h2", "TLSv1.3")
        context.set_alpn_protocols(["http/1.1"])
        with connected(port, context) as sock:
            sock.sendall(f"GET /api/status?access_token={TOKEN} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert read_response(sock).status == 200
        seen = "seen 127.0.0.1 https /api/status"
        wait_until(lambda: seen in world.service.log_text(), 20, "the access log")
        check_logs(nginx.directory)


def connected(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), 5), server_hostname="localhost")


# -- the logs, and the end ------------------------------------------------------------------------------------------


def test_no_token_in_any_log(world: World) -> None:
    say_the_token_everywhere(world.url)
    with Nginx(free_port()) as alone:  # connections refused, which nginx would log
        say_the_token_everywhere(alone.url)
        alone.stop()
        assert " 502 " in alone.access_log()
        check_logs(alone.directory)
    wait_until(lambda: " 413 " in world.nginx.access_log(), 20, "the access log")
    check_logs(world.nginx.directory, world.service.directory)


@pytest.mark.parametrize(("level", "upstream"), [("error", ""), ("crit", "unix:/nowhere;#")])
def test_nginxs_error_log_would_quote_the_token(level: str, upstream: str) -> None:
    """This is why that log is off: if the test fails, nginx leaves out the query, and the log can be on."""
    changes = {"error_log /dev/null emerg": f"error_log error.log {level}", "server 127": f"server {upstream}127"}
    with Nginx(free_port(), changes=changes) as nginx:
        say_the_token_everywhere(nginx.url)
        nginx.stop()
        with pytest.raises(AssertionError, match=r"error\.log"):
            check_logs(nginx.directory)


def test_a_graceful_stop_of_nginx(world: World) -> None:
    with Nginx(world.service.port) as nginx:
        check_graceful_stop(nginx.url, world.theeye, stop=lambda: nginx.signal(signal.SIGQUIT))
        assert nginx.wait() == 0
