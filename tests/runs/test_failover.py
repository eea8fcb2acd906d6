"""Test Redis with Sentinel: after the master has moved, keys and guard work again without a restart."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.checks import redis_lines
from support.failover import NAME, PASSWORD, Watched, watched
from support.processes import CHECKOUT, Service, free_port, wait_until
from support.theeye import StandIn
from support.tls import make_certificate
from support.world import World, over_http

pytestmark = pytest.mark.failover


@pytest.mark.parametrize(
    ("worker", "move", "password", "tls"),
    [
        ("gevent", lambda redis: redis.master.kill(), "", False),
        ("gevent", lambda redis: redis.master.freeze(), "", False),
        ("gthread", lambda redis: redis.sentinel.fail_over(), "watch-hunter2", True),
    ],
    ids=["killed", "frozen", "moved"],
)
def test_keys_and_guard_work_again(
    worker: str,
    move: Callable[[Watched], None],
    password: str,
    tls: bool,
    theeye: StandIn,
    service: Callable[..., Service],
    tmp_path: Path,
) -> None:
    certificate = make_certificate(tmp_path) if tls else None
    with watched(password, certificate) as redis:
        running = service(worker, redis_url=redis.url)
        world = World(theeye, over_http(running.url))

        def start(key: str) -> str | None:
            return world.post(Idempotency_Key=key, Prefer="respond-async").headers.get("X-Job-Id")

        def guard_spans_all() -> bool:
            told = json.loads(world.ask("GET", "/readyz").data)
            return bool(told.get("history_guard") == "all processes")

        before = start("before")
        assert before is not None
        wait_until(guard_spans_all, 30, "the guard over all processes")
        redis.replicate()
        move(redis)
        wait_until(lambda: start("after") is not None, 30, "a key after the move")
        wait_until(guard_spans_all, 30, "the guard over all processes again")
        assert start("before") == before, "a repeated request finds its job"
        assert [line.split()[0] for line in redis_lines(redis.url, theeye, 0)] == ["warn", "ok", "ok", "ok"]
        if certificate:
            [_, line] = redis_lines(re.sub("ssl_ca_certs=[^&]*", "", redis.url), theeye)
            assert "the Sentinels have a certificate that is not accepted" in line
        assert PASSWORD not in running.log_text()


def test_what_is_said_of_sentinels(theeye: StandIn) -> None:
    with watched("watch-hunter2") as redis:
        nowhere, master = free_port(), redis.master.port
        wrong = {
            redis.url.replace(f"/{NAME}", "/other"): "no Sentinel that can be reached knows a master 'other'",
            redis.url.replace("sentinel_password=watch", "sentinel_password=x"): "Sentinels do not accept the password",
            f"redis+sentinel://:hunter2@127.0.0.1:{master}/x": "a Sentinel refuses to name the master",
            f"redis+sentinel://:hunter2@127.0.0.1:{nowhere}/x": "no Sentinel that can be reached knows a master",
            redis.url.replace(f":{PASSWORD}@", ""): "does not accept the password, or needs one",
        }
        for url, words in wrong.items():
            assert words in redis_lines(url, theeye)[-1]


def test_sentinels_with_the_password_of_the_redis_and_with_a_user_of_their_own(theeye: StandIn) -> None:
    [rule] = re.findall("^ACL SETUSER watch .*$", (CHECKOUT / "docs" / "redis.md").read_text(), re.M)
    with watched(PASSWORD) as redis:
        assert len(redis_lines(redis.url.partition("?")[0], theeye, 0)) == 4
        redis.sentinel.execute(*rule.replace("PASSWORD", PASSWORD).split())
        assert len(redis_lines(f"{redis.url}&sentinel_username=watch", theeye, 0)) == 4
