"""Start the programs of `make run` in order, watch them, and end them in reverse order."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import FrameType, TracebackType
from typing import NoReturn, Self

READY_SECONDS = 30.0
STOP_SECONDS = 45.0

Process = subprocess.Popen[bytes]


class Stopped(Exception):
    """Report Ctrl-C, SIGTERM, or a closed terminal."""


class Failed(Exception):
    """Report a program that did not start or has ended; the message names it."""


class Programs:
    """Run programs until a signal or until one of them ends; a context manager that ends the others."""

    def __init__(self) -> None:
        self._running: list[Process] = []
        self._stopping = False

    def start(self, command: Sequence[str], environment: Mapping[str, str], *, quiet: bool = False) -> None:
        """Start a program in its own session; with `quiet` show only its standard error.

        Ctrl-C then reaches only this process, which ends the programs in order.
        """
        output = subprocess.DEVNULL if quiet else None
        self._running.append(subprocess.Popen(command, env=environment, stdout=output, start_new_session=True))

    def wait_until(self, is_up: Callable[[], bool], what: str) -> None:
        """Wait until a program answers. Raise Stopped, or Failed after `READY_SECONDS`."""
        deadline = time.monotonic() + READY_SECONDS
        while not is_up():
            self._check()
            if time.monotonic() > deadline:
                raise Failed(f"nothing answers at {what} after {READY_SECONDS:g} seconds")
            time.sleep(0.05)

    def watch(self) -> NoReturn:
        """Wait for the end. Raise Stopped or Failed."""
        while True:
            self._check()
            time.sleep(0.2)

    def drop(self) -> None:
        """End the program that was started last."""
        _end(self._running.pop())

    def __enter__(self) -> Self:
        # The handler only sets a flag: an exception could come between a program's start and its entry in the list.
        signals = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it
            signals.append(signal.SIGHUP)
        for number in signals:
            signal.signal(number, self._stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the programs, the last one first: requests that wait in the service still get their answers."""
        while self._running:
            self.drop()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _check(self) -> None:
        if self._stopping:
            raise Stopped
        for process in self._running:
            status = process.poll()
            if status is not None:
                command = shlex.join(process.args)  # type: ignore[arg-type] # they are strings
                raise Failed(f"`{command}` ended with status {status}, see above")


def _end(process: Process) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
