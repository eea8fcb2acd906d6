"""Choose which silent connections a worker ends, before they are all that it has.

A gunicorn worker accepts no more than `worker_connections`, health checks included, and lets each of them be silent
for `keepalive` seconds (benoitc/gunicorn#1296, #2222): 2,500 that send nothing would stop it for 75 s.
"""

from collections.abc import Iterable
from itertools import islice
from time import monotonic
from typing import TypeVar

Connection = TypeVar("Connection")

SPARE_CONNECTIONS = 512  # that a worker keeps free: the silent ones are ended first
YOUNG_SECONDS = 1.0  # in which the request of a new connection may still be on its way


def longest_silent(
    since: Iterable[tuple[Connection, float]], count: int, young_seconds: float = YOUNG_SECONDS
) -> list[Connection]:
    """Return the first `count` connections that are not young; `since` when each is silent, the longest first."""
    young = monotonic() - young_seconds
    return [connection for connection, began in islice(since, max(count, 0)) if began < young]
