"""The threaded worker: silent connections while it stops. Slow clients are in tests/security and tests/faults."""

import socket
from pathlib import Path

from support.processes import CHECKOUT, Service, wait_until

# gunicorn hands a connection on which nothing comes back to its loop, after 5 s
HANDED_BACK_AT_ONCE = f"""
from pathlib import Path
exec(Path({str(CHECKOUT / "gunicorn.conf.py")!r}).read_text())
before = post_fork

def post_fork(server, worker):
    from gunicorn.workers import gthread
    gthread.DEFAULT_WORKER_DATA_TIMEOUT = 0.1
    finish = worker.finish_request
    def finish_request(conn, future):
        finish(conn, future)
        if worker.pending_conns:
            Path({{marker!r}}).touch()
    worker.finish_request = finish_request
    before(server, worker)
"""


def test_a_silent_connection_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """Without that the worker would wait for it for `graceful_timeout`, here 50 s."""
    config, marker = tmp_path / "handed_back.py", tmp_path / "marker"
    config.write_text(HANDED_BACK_AT_ONCE.format(marker=str(marker)))
    with (
        Service(worker="gthread", args=["--config", str(config)]) as service,
        socket.create_connection(("127.0.0.1", service.port)) as silent,
    ):
        wait_until(marker.exists, 20, "the connection in the worker's loop")
        service.terminate()
        assert service.wait(20) == 0
        assert silent.recv(1) == b""
