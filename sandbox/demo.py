"""Run `python -m sandbox.demo`, which is `make run`: a sandbox, the service in front of it, and examples to type."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from types import FrameType
from typing import NoReturn
from urllib.parse import urlsplit

import requests

from sandbox.identity import CUSTOMER, TOKEN

SANDBOX_BIND = "127.0.0.1:6080"
READY_SECONDS = 30.0
STOP_SECONDS = 45.0

TASK = "61f3e937c38201da80f96c27"
PAGE = "61f3e937c38201da80f96c30"
EXAMPLES = [  # title, task, query, body
    ("the output, as it is stored (status 200)", TASK, "", '{"task_arguments":[100]}'),
    ("a job that failed (status 500)", TASK, "", '{"task_arguments":[200]}'),
    ("the output read as JSON (status 200)", TASK, "parse", '{"task_arguments":[100]}'),
    ("a job that failed decides the status itself (418)", TASK, "parse", '{"task_arguments":[200]}'),
    ("a job that answers with a page of its own", PAGE, "response", '{"task_arguments":[]}'),
    ("what the agent reported", TASK, "result", '{"task_arguments":[100]}'),
    ("the whole job", TASK, "full", '{"task_arguments":[100]}'),
]

Process = subprocess.Popen[bytes]


class Stopped(Exception):
    """Signal Ctrl-C or SIGTERM."""


def main() -> int:
    """Serve until Ctrl-C; return the exit status."""
    service_bind = os.environ.get("SYNC_BIND", "").strip() or "127.0.0.1:6090"
    service_url = f"http://{_reachable(service_bind)}"
    for bind, variable in ((SANDBOX_BIND, "the sandbox's port"), (service_bind, "SYNC_BIND")):
        _check_free(bind, variable)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    processes: list[Process] = []
    try:
        _start(processes, service_bind, ["-m", "sandbox", "--bind", SANDBOX_BIND])
        _wait_until_up(processes, f"http://{SANDBOX_BIND}/api/status")
        _start(processes, service_bind, ["-m", "gunicorn"])
        _wait_until_up(processes, f"{service_url}/readyz")
        sys.stdout.write(_examples(service_url))
        sys.stdout.flush()
        _wait_for_end(processes)
    except Stopped:
        return 0
    finally:
        _end(processes)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise Stopped


def _check_free(bind: str, name: str) -> None:
    if not re.fullmatch(r"[^\s:/]*:[0-9]{1,5}", bind):
        raise SystemExit(f"make run: {name} must be HOST:PORT")
    url = urlsplit(f"//{bind}")
    try:
        with closing(socket.create_server((url.hostname or "", url.port or 0), reuse_port=False)):
            pass
    except OSError as error:
        raise SystemExit(
            f"make run: cannot listen on {bind} ({name}): {os.strerror(error.errno or 0)}. Is it running already?"
        ) from None


def _reachable(bind: str) -> str:
    """Return an address at which this machine reaches a service that may listen on all addresses."""
    host, _, port = bind.rpartition(":")
    return f"127.0.0.1:{port}" if host in ("", "0.0.0.0") else bind


def _start(processes: list[Process], service_bind: str, arguments: list[str]) -> None:
    """Start a Python program in its own session: Ctrl-C then reaches only this process, which ends them in order."""
    address = f"http://{SANDBOX_BIND}"
    environment = {**os.environ, "SYNC_GATEWAY_URL": address, "SYNC_SUPERVISOR_URL": address}
    environment["SYNC_BIND"] = service_bind  # whatever PORT says
    environment["no_proxy"] = "127.0.0.1"  # the sandbox is not behind the proxy that this machine may have
    processes.append(subprocess.Popen([sys.executable, *arguments], env=environment, start_new_session=True))


def _wait_until_up(processes: list[Process], url: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Connection"] = "close"  # a keep-alive connection would delay the service's stop by seconds
        while time.monotonic() < deadline:
            _check_running(processes)
            try:
                if session.get(url, timeout=2).status_code < 500:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.05)
    raise SystemExit(f"make run: nothing answers at {url} after {READY_SECONDS:g} seconds")


def _check_running(processes: list[Process]) -> None:
    for process in processes:
        status = process.poll()
        if status is not None:
            raise SystemExit(f"make run: {process.args!r} ended with status {status}, see above")


def _wait_for_end(processes: list[Process]) -> NoReturn:
    while True:
        _check_running(processes)
        time.sleep(0.5)


def _end(processes: list[Process]) -> None:
    """End the service first and the sandbox last, so that waiting requests still get their answers."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    for process in reversed(processes):
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _examples(url: str) -> str:
    lines = ["", f"TheEye Sync is ready. In a browser, as customer {CUSTOMER} with the token {TOKEN}:", ""]
    lines += [f"{url}/console", "", "In another terminal:", ""]
    for title, task, query, body in EXAMPLES:
        address = f"{url}/{CUSTOMER}/task/{task}/job?{query + '&' if query else ''}access_token={TOKEN}"
        lines += [
            f"# {title}",
            f"curl -i -X POST '{address}' \\",
            f"     --header 'content-type: application/json' --data '{body}'",
            "",
        ]
    return "\n".join([*lines, "Ctrl-C stops it. From here on each request writes a line:", "", ""])


if __name__ == "__main__":
    sys.exit(main())
