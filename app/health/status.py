"""Make the answer of `/api/status`, as the original service has it."""

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from app.telemetry.text import iso_time

_STARTED = time.time()


def original_status() -> dict[str, Any]:
    """Return the fields of `/api/status`, in the order of the original."""
    return {
        "status": "Node is ok.",
        "node_hostname": platform.node(),
        "node_uptime": iso_time(_booted()),
        "process_uptime": iso_time(_STARTED),
        "theeye_version": our_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def our_version() -> str:
    """Return the installed version, or `unknown` if the package is not installed."""
    try:
        return version("theeye-sync")
    except PackageNotFoundError:
        return "unknown"


def _booted() -> float:
    """Return when the machine started, in seconds since 1970; if that is unknown, when the process started."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.time() - time.clock_gettime(clock) if clock is not None else _STARTED
