"""Redis behind Sentinel: after the master has moved, keys and guard work again without a restart."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from support.checks import redis_lines
from support.client import ask, post
from support.failover import NAME, PASSWORD, watched
from support.processes import free_port, wait_until
from support.theeye import StandIn
from support.tls import make_certificate

pytestmark = pytest.mark.failover


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "moved, TLS, a password of the Sentinel's"])
def test_keys_and_guard_work_again(
    killed: bool,
    theeye: StandIn,
    make_app: Callable[..., Flask],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    certificate = None if killed else make_certificate(tmp_path)
    with watched("" if killed else "watch-hunter2", certificate) as redis:
        client = make_app(redis_url=redis.url).test_client()

        def start(key: str) -> str | None:
            return post(client, Idempotency_Key=key, Prefer="respond-async").headers.get("X-Job-Id")

        def guard_spans_all() -> bool:
            told = ask(client, "GET", "/readyz").json
            return told is not None and told.get("history_guard") == "all processes"

        before = start("before")
        assert before is not None
        wait_until(guard_spans_all, 30, "the guard over all processes")
        redis.replicate()
        if killed:
            redis.master.kill()
        else:
            redis.sentinel.fail_over()
        wait_until(lambda: start("after") is not None, 30, "a key after the move")
        wait_until(guard_spans_all, 30, "the guard over all processes again")
        assert start("before") == before, "a repeated request finds its job"
        assert [line.split()[0] for line in redis_lines(redis.url, theeye, 0)] == ["warn", "ok", "ok", "ok"]
        assert PASSWORD not in caplog.text


def test_what_is_said_of_sentinels(theeye: StandIn) -> None:
    with watched("watch-hunter2") as redis:
        wrong = {
            redis.url.replace(f"/{NAME}", "/other"): "no Sentinel that can be reached knows a master 'other'",
            redis.url.replace("sentinel_password=watch", "sentinel_password=x"): "Sentinels do not accept the password",
            f"redis+sentinel://:hunter2@127.0.0.1:{redis.master.port}/x": "a Sentinel refuses to name the master",
            f"redis+sentinel://:hunter2@127.0.0.1:{free_port()}/x": "no Sentinel that can be reached knows a master",
            redis.url.replace(f":{PASSWORD}@", ""): "does not accept the password, or wants one",
        }
        for url, words in wrong.items():
            assert words in redis_lines(url, theeye)[-1]
