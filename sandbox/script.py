"""Run one script in its own process group, with one pipe for its whole output, and a deadline."""

import os
import selectors
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sandbox.log import Log

_LONGEST_PAUSE = 0.25  # seconds


@dataclass(frozen=True)
class Ended:
    """Hold how a script ended; `log` is only the beginning of a log that TheEye could not store."""

    log: str
    printed: int  # bytes
    code: int | None
    signal: str | None
    killed: bool
    nanoseconds: int


class Script:
    """Run one command; another thread may kill it, even before it starts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._killed = False
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, command: str, env: dict[str, str], folder: Path, seconds: float) -> Ended:
        """Run for at most `seconds`; then kill the whole process group."""
        begin = time.monotonic_ns()
        log = Log()
        with _start(command, env, folder) as process:
            try:
                self._follow(process, log, time.monotonic() + seconds)
            finally:
                self._kill_unless_ended()
        code = process.returncode
        name = signal.Signals(-code).name if code < 0 else None
        elapsed = time.monotonic_ns() - begin
        return Ended(log.text(), log.size, code if code >= 0 else None, name, self._killed, elapsed)

    def kill(self) -> None:
        """Kill the script and all processes that it started."""
        with self._lock:
            self._killed = True
            self._kill_group()

    def _follow(self, process: "subprocess.Popen[bytes]", log: Log, deadline: float) -> None:
        with self._lock:
            self._process = process
            if self._killed:
                self._kill_group()
        assert process.stdout is not None
        if not self._read(process.stdout, log, deadline):
            self.kill()
        pause = 0.001
        # wait() would reap the process while kill() may still use its process id.
        while not self._has_ended():
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
            if time.monotonic() > deadline:
                self.kill()

    def _read(self, pipe: IO[bytes], log: Log, deadline: float) -> bool:
        """Read until the pipe closes. Return False if the deadline passes or the script is killed before that."""
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0:
                # A process that left the group may keep the pipe open, so check the flag as well.
                if selector.select(min(left, _LONGEST_PAUSE)):
                    data = os.read(pipe.fileno(), 65536)
                    if not data:
                        return True
                    log.add(data)
                elif self._killed:
                    return False
        return False

    def _has_ended(self) -> bool:
        with self._lock:
            return self._process is None or self._process.poll() is not None

    def _kill_unless_ended(self) -> None:
        if not self._has_ended():
            self.kill()

    def _kill_group(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


def _start(command: str, env: dict[str, str], folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        ["/bin/sh", "-c", command],
        env=env,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        start_new_session=True,
    )
