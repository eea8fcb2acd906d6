"""What /readyz says of TheEye's servers and of Redis."""

from collections.abc import Callable
from typing import Any

from support.processes import wait_until

GATEWAY = "gateway: known sessions go on, new ones get 502 until it is back"
REDIS = "redis: polling carries the waits until it is back"
SUPERVISOR = "supervisor: nothing can be run"


def when_known(ask: Callable[[], Any]) -> Any:
    """The body of /readyz that `ask` returns, once the first looks at TheEye have ended."""
    bodies: list[Any] = []

    def is_known() -> bool:
        bodies.append(ask())
        return bool(bodies[-1]["status"] != "starting")

    wait_until(is_known, 30, "the first looks")
    return bodies[-1]
