"""Test a worker that is told to stop while it starts."""

import os
import signal
from pathlib import Path

from support.processes import CHECKOUT, Service, wait_until

SLOW_TO_COME_UP = f"""
import time
from pathlib import Path
exec(Path({str(CHECKOUT / "gunicorn.conf.py")!r}).read_text())
before = post_fork

def post_fork(server, worker):
    before(server, worker)
    Path({{marker!r}}).touch()
    time.sleep(3)
"""


def test_ctrl_c_reaches_a_worker_that_is_not_up_yet(tmp_path: Path) -> None:
    config, marker = tmp_path / "slow.py", tmp_path / "forked"
    config.write_text(SLOW_TO_COME_UP.format(marker=str(marker)))
    service = Service(args=["--config", str(config)])
    try:
        service.launch_only()
        wait_until(marker.exists, 20, "a worker")
        os.killpg(service.pid, signal.SIGINT)
        assert service.wait() == 0
        assert "SIGKILL" not in service.log_text()
    finally:
        service.close()
