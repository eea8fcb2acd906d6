"""Choose the silent connections that a worker closes, so that it can always accept new ones.

A gunicorn worker accepts no more than `worker_connections`, and each may be silent for `keepalive` seconds
(benoitc/gunicorn#1296, #2222). So 2,500 silent connections would keep it from accepting any, also health checks, for
75 s.
"""

from collections.abc import Iterable
from itertools import islice
from time import monotonic
from typing import TypeVar

Connection = TypeVar("Connection")

SPARE_CONNECTIONS = 512  # a worker keeps so many free, by closing the connections that are silent for longest
YOUNG_SECONDS = 1.0  # the request of a new connection may take so long to arrive


def longest_silent(
    since: Iterable[tuple[Connection, float]], count: int, young_seconds: float = YOUNG_SECONDS
) -> list[Connection]:
    """Return the first `count` connections that are not young.

    `since` has each connection and since when it is silent (monotonic seconds), the longest first.
    """
    young = monotonic() - young_seconds
    return [connection for connection, began in islice(since, max(count, 0)) if began < young]
