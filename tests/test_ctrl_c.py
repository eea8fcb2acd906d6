"""Ctrl-C in the terminal of `make serve`: the terminal tells every process, and the master tells its workers again."""

import os
import signal
from pathlib import Path

import pytest
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


@pytest.mark.parametrize("worker", ["gevent", "gthread"])
def test_ctrl_c_ends_the_service_without_a_traceback(worker: str) -> None:
    with Service(worker=worker, workers=2) as service:
        os.killpg(service.pid, signal.SIGINT)
        assert service.wait() == 0
        said = service.log_text()
    assert "Traceback" not in said
    assert "SIGKILL" not in said


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
