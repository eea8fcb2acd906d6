"""Test gunicorn.conf.py: its choices, and that its limits and timeouts fit the settings."""

import json
from typing import Any

import pytest
from support.processes import run_python

SHOW = """
import json, runpy, sys
sys.modules.update({name: None for name in sys.argv[1:]})  # as if not installed
found = runpy.run_path("gunicorn.conf.py")
print(json.dumps({name: value for name, value in found.items() if isinstance(value, (int, str, list))}))
"""


def conf(*missing: str, **settings: str) -> dict[str, Any]:
    """Return the settings in the file, for these variables."""
    found: dict[str, Any] = json.loads(run_python("-c", SHOW, *missing, **settings).stdout)
    return found


def test_the_worker_is_chosen_by_what_is_installed() -> None:
    assert conf()["worker_class"] == "app.serving.gevent_worker.Worker"
    assert conf("gevent")["worker_class"] == "app.serving.thread_worker.Worker"
    assert conf("packaging")["worker_class"] == "app.serving.thread_worker.Worker"


@pytest.mark.parametrize("places", [1, 1000, 30000])
def test_health_is_answered_while_all_places_are_taken(places: int) -> None:
    found = conf(SYNC_MAX_WAITING=str(places))
    assert found["threads"] > places
    assert found["worker_connections"] > found["threads"], "gthread keeps the difference for idle connections"


@pytest.mark.parametrize(("grace", "call"), [("30", "15"), ("0", "15"), ("0.5", "0.5"), ("100", "1")])
def test_a_stop_leaves_time_for_the_last_reads(grace: str, call: str) -> None:
    found = conf(SYNC_GRACE_SECONDS=grace, SYNC_CALL_TIMEOUT=call)
    assert found["graceful_timeout"] >= float(grace) + float(call) + 5
    assert isinstance(found["graceful_timeout"], int), "gunicorn wants a whole number"


def test_a_workers_collections_leave_the_masters_objects_alone() -> None:
    program = (
        "import gc, runpy\n"
        "from queue import SimpleQueue\n"
        "from types import SimpleNamespace\n"
        "hooks = runpy.run_path('gunicorn.conf.py')\n"
        "inherited = len(gc.get_objects())\n"
        "hooks['post_fork'](SimpleNamespace(SIG_QUEUE=SimpleQueue()), SimpleNamespace(sockets=[], core=None))\n"
        "assert gc.get_freeze_count() > inherited // 2, (gc.get_freeze_count(), inherited)\n"
    )
    run_python("-c", program)


def test_it_does_nothing_before_the_start() -> None:
    program = (
        "import resource, runpy, threading\n"
        "before = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (500, before[1]))\n"
        "runpy.run_path('gunicorn.conf.py')\n"
        "assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 500\n"
        "assert threading.active_count() == 1\n"
    )
    run_python("-c", program)
