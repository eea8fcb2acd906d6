"""Test the bar and Ctrl-C on a terminal, and Ctrl-C without one."""

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from support.command import HERE, command
from support.processes import CHECKOUT, Service, clean_environment
from support.sockets import serving
from support.theeye import StandIn

RUN = [sys.executable, "-m", "app", "run", HERE]
WITHOUT_RICH = "import sys; sys.modules['rich'] = None; from app.cli import main; main()"


class Terminal:
    """Run a command on a terminal, and record everything that it shows there."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self._master = master
        self._read_so_far = b""

    @property
    def shown(self) -> str:
        """What was shown, without escape sequences; a read may end within one, or within a character."""
        text = self._read_so_far.decode(errors="replace")
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r\n", "\n")

    def forget(self) -> None:
        self._read_so_far = b""

    def wait_for(self, words: str) -> None:
        """Read until these words appear; the end of the terminal is an error."""
        while words not in self.shown:
            assert self._read(), f"{words!r} is not in {self.shown!r}"

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def exit(self, repeated: str = "") -> int:
        """Wait for the end. A Ctrl-C just before a prompt reads is noticed with the next key only, so repeat it."""
        while True:
            if repeated and not select.select([self._master], [], [], 5)[0]:
                self.type(repeated)
            if not self._read():
                return self.process.wait(60)

    def _read(self) -> bool:
        piece = b""
        with suppress(OSError):  # on Linux the end of a terminal is EIO
            piece = os.read(self._master, 65536)
        self._read_so_far += piece
        return bool(piece)


@contextmanager
def terminal(url: str, *command: str, stdout: Path | None = None, term: str = "xterm") -> Iterator[Terminal]:
    """Run a command with a terminal through which Ctrl-C reaches it."""
    master, slave = pty.openpty()
    environ = clean_environment() | {"SYNC_URL": url, "SYNC_TOKEN": "tok-acme", "TERM": term}
    attach = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    output = slave if stdout is None else os.open(stdout, os.O_WRONLY | os.O_CREAT)
    with subprocess.Popen(
        [sys.executable, "-c", attach, *command],
        stdin=slave, stdout=output, stderr=slave, cwd=CHECKOUT, env=environ, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(slave)
        if stdout is not None:
            os.close(output)
        try:
            yield Terminal(process, master)
        finally:
            process.kill()
            os.close(master)


@pytest.mark.parametrize(
    ("program", "term", "bar"),
    [(RUN, "xterm", True), (RUN, "dumb", False), ([sys.executable, "-c", WITHOUT_RICH, "run", HERE], "xterm", False)],
)
def test_the_lifecycle_is_shown_and_the_answer_is_alone(
    gunicorn: Service, its_theeye: StandIn, tmp_path: Path, program: list[str], term: str, bar: bool
) -> None:
    its_theeye.task(delay=None, output=["{}"])
    with terminal(gunicorn.url, *program, "--mode", "parse", stdout=tmp_path / "answer", term=term) as shown:
        shown.wait_for(f"job {HERE}/")
        its_theeye.change(lifecycle="assigned")
        shown.wait_for("assigned")
        its_theeye.finish()
        assert shown.exit() == 0
    assert ("━" in shown.shown) == bar
    assert (tmp_path / "answer").read_text() == "{}"


def test_the_usual_time_is_shown(gunicorn: Service, its_theeye: StandIn) -> None:
    for _ in range(3):
        assert command(gunicorn.url, "run", HERE).exit_code == 0
    its_theeye.task(delay=None)
    with terminal(gunicorn.url, *RUN) as shown:
        shown.wait_for("usually ")


@pytest.mark.parametrize(
    ("answers", "cancels"), [(("y\n",), 1), (("n\n",), 0), (("\n",), 0), (("\x03",), 0), (("what\n", "y\n"), 1)]
)
def test_ctrl_c_asks_once(gunicorn: Service, its_theeye: StandIn, answers: tuple[str, ...], cancels: int) -> None:
    its_theeye.task(delay=None)
    with terminal(gunicorn.url, *RUN, "--mode", "parse") as shown:
        shown.wait_for(f"job {HERE}/")
        shown.type("\x03")
        for answer in answers:
            shown.wait_for("Cancel the job? [y/N]")
            shown.forget()
            shown.type(answer)
        assert shown.exit(repeated="\x03" if answers == ("\x03",) else "") == 130
    [job] = its_theeye.jobs
    assert len(its_theeye.calls_of("cancel")) == cancels
    assert ("cancelled\n" in shown.shown) == bool(cancels)
    assert (f"theeye-sync result {HERE}/{job} --mode parse\n" in shown.shown) == (not cancels)
    assert "Traceback" not in shown.shown


def test_without_a_terminal_ctrl_c_never_cancels(gunicorn: Service, its_theeye: StandIn) -> None:
    its_theeye.task(delay=None)
    environ = clean_environment() | {"SYNC_URL": gunicorn.url, "SYNC_TOKEN": "tok-acme"}
    with subprocess.Popen(RUN, cwd=CHECKOUT, env=environ, stdin=-1, stdout=-1, stderr=-1, text=True) as process:
        assert process.stderr is not None
        told = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    [job] = its_theeye.jobs
    assert (process.returncode, output, told) == (130, "", f"job {HERE}/{job}\n")
    assert errors.endswith(f"theeye-sync result {HERE}/{job}\n")
    assert its_theeye.calls_of("cancel") == []


@pytest.mark.parametrize(
    ("arguments", "redirected", "status", "words"),
    [
        *((name, ">/dev/full", 5, "cannot be written: No space left") for name in (f"run {HERE}", "tasks acme")),
        *((name, ">&-", 5, "cannot be written: standard output is closed") for name in (f"run {HERE}", "tasks acme")),
        (f"run {HERE} --async", ">/dev/full", 5, "fetch its answer later"),
        *((name, "| true", 0, "") for name in (f"run {HERE}", f"run {HERE} --async", "tasks acme")),
        (f"run {HERE}", "2>/dev/full", 0, ""),
        (f"run {HERE}", "2>&-", 0, ""),
        *((f"{name} -", "<&-", 2, "standard input is closed") for name in ("tasks acme --token", f"run {HERE} --json")),
    ],
)
def test_a_stream_that_cannot_be_used(
    gunicorn: Service, its_theeye: StandIn, arguments: str, redirected: str, status: int, words: str
) -> None:
    environ = clean_environment() | {"SYNC_URL": gunicorn.url, "SYNC_TOKEN": "tok-acme"}
    script = f"set -o pipefail; {sys.executable} -m app {arguments} {redirected}"
    ran = subprocess.run(["bash", "-c", script], cwd=CHECKOUT, env=environ, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, words in ran.stderr, "Traceback" in ran.stderr) == (status, True, False), ran.stderr


@pytest.mark.parametrize(
    ("method", "words"),
    [(b"GET", "nothing was started"), (b"POST", "may have started; the same command with --key ")],
)
def test_ctrl_c_before_the_job_is_known(method: bytes, words: str) -> None:
    asked, ended = threading.Event(), threading.Event()

    def serve(sock: socket.socket) -> None:
        if not sock.recv(65536).startswith(method):
            return
        asked.set()
        ended.wait(60)

    with serving(serve) as port, terminal(f"http://127.0.0.1:{port}", *RUN) as shown:
        assert asked.wait(60)
        shown.type("\x03")
        assert shown.exit() == 130
        ended.set()
    assert words in shown.shown
