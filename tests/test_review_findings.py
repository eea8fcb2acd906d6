"""What a review found by experiment: readers that go, spellings of an id, the limit of open files, preloading."""

import subprocess
import sys

from support.processes import CHECKOUT, clean_environment, free_port


def test_preloading_under_gevent_is_refused() -> None:
    env = clean_environment() | {"SYNC_BIND": f"127.0.0.1:{free_port()}"}
    command = [sys.executable, "-m", "gunicorn", "--worker-class", "app.serving.gevent_worker.Worker", "--preload"]
    ran = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=30)
    assert ran.returncode != 0
    assert "preload_app cannot go with gevent" in ran.stderr
