"""Test a worker that is told to stop while it starts."""

import os
import signal
from pathlib import Path

import pytest
from support.processes import CHECKOUT, Service, wait_until

SLOW_TO_COME_UP = f"""
import time
from pathlib import Path
exec(Path({str(CHECKOUT / "gunicorn.conf.py")!r}).read_text())
ours = post_fork

def slow(server, worker):
    Path({{marker!r}}).touch()
    time.sleep(3)

def post_fork(server, worker):
    for step in ({{steps}}):
        step(server, worker)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("steps", ["ours, slow", "slow, ours"])
def test_a_stop_reaches_a_worker_that_is_not_up_yet(steps: str, number: int, tmp_path: Path) -> None:
    config, marker = tmp_path / "slow.py", tmp_path / "forked"
    config.write_text(SLOW_TO_COME_UP.format(marker=str(marker), steps=steps))
    service = Service(args=["--config", str(config)])
    try:
        service.launch_only()
        wait_until(marker.exists, 20, "a worker")
        os.killpg(service.pid, number)
        assert service.wait() == 0
        assert "SIGKILL" not in service.log_text()
    finally:
        service.close()
