"""The operating system's own primitives, also under gevent: its replacements cost ten times what these do."""

import select
import threading
from typing import Any


def quick_lock() -> Any:
    """A lock for sections that wait for nothing: no greenlet leaves them half done, so none ever finds it taken."""
    try:
        from gevent.monkey import get_original
    except ImportError:
        return threading.Lock()
    return get_original("_thread", "allocate_lock")()


def poll() -> Any:
    """A `select.poll` object that looks and never waits: gevent's own makes a watcher for each socket at each look."""
    try:
        from gevent.monkey import get_original
    except ImportError:
        return select.poll()
    return get_original("select", "poll")()
