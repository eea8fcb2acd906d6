"""Test the function that makes Redis clients: its options, dead connections, and a Cluster."""

import socket
import uuid

import pytest
from support.checks import redis_lines
from support.processes import CHECKOUT, Redis, free_port, run_python, user_of
from support.sockets import relay, serving
from support.theeye import StandIn

from app.checks.refusals import RIGHTS
from app.redis_url import CLUSTER
from app.runs.redis_scripts import RedisScripts, RedisUnavailable
from app.waiter import redis_client
from app.waiter.redis_client import make_client
from app.waiter.redis_notifications import RedisNotifications
from app.waiter.wakers import Reason, Waker

OWN = (  # options that are the service's own
    "decode_responses=1&protocol=3&socket_timeout=1&socket_connect_timeout=1&socket_keepalive=0&retry_on_timeout=1"
    "&retry_on_error=x&health_check_interval=1&max_connections=1&encoding=utf-16&encoding_errors=ignore"
)


def reserve(scripts: RedisScripts, **options: bool) -> int:
    """Run a script that writes; return 1 if the key is new."""
    key = f"theeye-sync:key:{uuid.uuid4().hex}"
    return int(scripts.run("key_reserve", [key], ["fingerprint", 1000, 1000, "owner"], **options)[0])


@pytest.mark.parametrize("url", ["redis://h:1", "rediss://h:1/2", "unix:///x", "rediss+sentinel://h:1/name/2"])
def test_options_of_the_url_do_not_override_what_the_service_needs(url: str) -> None:
    def options(url: str) -> dict[str, object]:
        pool = make_client(url, 1.5, 2.5, 4).connection_pool
        made_anew = {"retry", "connection_pool", "himport_registry"}
        return {name: value for name, value in pool.connection_kwargs.items() if name not in made_anew}

    query = OWN if not url.startswith("unix") else OWN.replace("&socket_keepalive=0", "")
    assert options(f"{url}?{query}") == options(url)
    assert options(url).items() >= {"socket_timeout": 2.5, "protocol": 2}.items()


def test_a_master_that_has_become_a_replica_is_left(redis_server: Redis) -> None:
    with Redis() as old:
        ports = [old.port]
        with serving(lambda sock: relay(sock, ports[-1])) as port:
            scripts = RedisScripts(f"redis://127.0.0.1:{port}")
            assert reserve(scripts) == 1
            ports.append(redis_server.port)
            old.client().replicaof("127.0.0.1", str(redis_server.port))
            with pytest.raises(RedisUnavailable):
                reserve(scripts)
            assert reserve(scripts, despite_failure=True) == 1


@pytest.mark.parametrize("answer", [b"-MOVED 1 127.0.0.1:1\r\n", b"-READONLY You can't write.\r\n"])
def test_the_answer_of_a_server_that_is_no_master_any_more_closes_its_connection(
    redis_server: Redis, answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    accepted, answers = [], []

    def serve(sock: socket.socket) -> None:
        accepted.append(sock)
        relay(sock, redis_server.port, lambda to, data: to.sendall(answers.pop() if answers else data))

    with serving(serve) as port:
        scripts = RedisScripts(f"redis://127.0.0.1:{port}")
        reserve(scripts)
        answers.append(answer)
        with pytest.raises(RedisUnavailable):
            reserve(scripts)
        assert answer.decode().strip().partition(" ")[2] in caplog.text
        assert reserve(scripts, despite_failure=True) == 1
        assert len(accepted) == 2


def test_a_connection_that_a_firewall_has_forgotten_costs_no_request(
    redis_server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted: list[socket.socket] = []
    forgotten: list[socket.socket] = []

    def serve(sock: socket.socket) -> None:
        accepted.append(sock)
        relay(sock, redis_server.port, lambda to, data: None if to in forgotten else to.sendall(data))

    with serving(serve) as port:
        scripts = RedisScripts(f"redis://127.0.0.1:{port}")
        for _ in range(2):
            reserve(scripts)
        assert len(accepted) == 1, "one that was just in use is used again"
        forgotten += accepted
        monkeypatch.setattr(redis_client, "IDLE_SECONDS", 0)
        reserve(scripts)
        assert len(accepted) == 2


def test_a_cluster_is_refused_with_words(theeye: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    with Redis(options=["--cluster-enabled", "yes", "--cluster-port", str(free_port())]) as node:
        with pytest.raises(RedisUnavailable):
            reserve(RedisScripts(node.url))
        notifications = RedisNotifications(node.url)
        notifications.listen()
        assert not notifications.live
        words = f"SYNC_REDIS_URL {CLUSTER}"
        assert [record.getMessage().endswith(words) for record in caplog.records] == [True, True]
        assert words in redis_lines(node.url, theeye)[-1]
        start = run_python("-m", "gunicorn", SYNC_REDIS_URL=node.url, status=1)
        assert start.stderr.endswith(f"\ntheeye-sync: {words}\n")


def test_the_documented_user_may_do_all_and_is_told_of_a_flush(redis_server: Redis) -> None:
    assert f"ACL SETUSER sync on >PASSWORD {RIGHTS}\n" in (CHECKOUT / "docs" / "redis.md").read_text()
    root = redis_server.client()
    with user_of(redis_server, RIGHTS) as url:
        root.acl_log_reset()
        notifications = RedisNotifications(url)
        notifications.listen()
        with notifications.watch("a", notifications.epoch) as told, notifications.watch_changes("a", Waker()):
            reserve(RedisScripts(url))
            root.flushall()
            assert told.wait(10) == {Reason.FLUSHED}
        assert root.acl_log() == [], "nothing was refused"


def test_a_flush_is_not_told_where_the_user_may_not_ask_for_it(redis_server: Redis) -> None:
    with user_of(redis_server, RIGHTS.replace(" +client|tracking", "")) as url:
        notifications = RedisNotifications(url)
        notifications.listen()
        assert notifications.live
