"""Test TCP keep-alive on every connection that may be silent while a job runs: client, TheEye and Redis."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.processes import Redis, Service
from support.theeye import StandIn
from support.world import World, over_http

from app.theeye.keepalive import redis_keep_alive

ESTABLISHED, KEEP_ALIVE = "01", "02"  # the state and the timer, as /proc/net/tcp has them


def timers(local: int = 0, remote: int = 0) -> set[str]:
    """Return the timers of the connections of a port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    wanted = [row for row in rows if row[3] == ESTABLISHED and f":{local or remote:04X}" in row[1 if local else 2]]
    return {row[5].partition(":")[0] for row in wanted}


@pytest.mark.parametrize("worker", ["gevent", "gthread"])
def test_connections_that_are_silent_are_probed(
    worker: str, theeye_redis: StandIn, redis_server: Redis, service: Callable[..., Service]
) -> None:
    theeye = theeye_redis
    running = service(worker, gateway_url=theeye.url, supervisor_url=theeye.url, redis_url=redis_server.url)
    world = World(theeye, over_http(running.url))
    with world.parked() as ([job_id], [waiting]):
        for port in (int(theeye.url.rpartition(":")[2]), redis_server.port):
            assert KEEP_ALIVE in timers(remote=port)
        assert timers(local=running.port) == {KEEP_ALIVE}
        theeye.finish(job_id)
        assert waiting.result(20).status_code == 200


def test_a_unix_socket_has_no_such_option() -> None:
    assert redis_keep_alive("unix:///run/redis.sock") == redis_keep_alive("UNIX:///x") == {}
