"""Test addresses that nobody can listen on: one clear line instead of gunicorn's traceback."""

import os
import socket
from pathlib import Path

import pytest
from support.processes import run_python

from app.serving.listening import refuse_unusable


def test_gunicorn_ends_with_one_line() -> None:
    ran = run_python("-m", "gunicorn", status=1, SYNC_BIND="fd://77")
    assert "Traceback" not in ran.stderr
    assert "theeye-sync: SYNC_BIND or SYNC_METRICS_BIND: cannot listen on fd://77: Bad file descriptor" in ran.stderr


def test_what_is_no_socket_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(SystemExit, match=f"cannot listen on unix:{path}: a file or directory"):
            refuse_unusable([("127.0.0.1", 6090), str(path)])
    with (tmp_path / "file").open() as file, pytest.raises(SystemExit, match=f"fd://{file.fileno()}: Socket operation"):
        refuse_unusable([file.fileno()])


def test_what_can_be_a_socket_is_taken_and_stays_open(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "sock"))
        refuse_unusable([sock.fileno(), str(tmp_path / "sock"), str(tmp_path / "new"), "\0abstract", ("::1", 1)])
        os.fstat(sock.fileno())
