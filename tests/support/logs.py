"""Run a service in front of a stand-in, with separate log streams."""

import json
from pathlib import Path
from typing import Any

from support.processes import Service, wait_until, whole_lines
from support.settings import environment
from support.theeye import StandIn

FIELDS = [
    *("time", "level", "request_id", "method", "path", "customer", "user", "task", "workflow", "job", "mode", "status"),
    *("by", "code", "session", "queue", "create", "wait", "read", "format", "total", "client"),
]
PLUGIN = """
from formatters import Formatter, hookimpl


class Crashing(Formatter):
    name = "crash"
    queries = ("crash",)
    precedence = 150

    def format(self, context):
        raise ValueError("while reading " + context.job["output"][0] + "\\x1b[2J")


@hookimpl
def register_formatters():
    return [Crashing()]
"""


class LoggedService:
    """Hold a service, its access log and its messages."""

    def __init__(self, service: Service, theeye: StandIn, errors: Path) -> None:
        self.service, self.theeye, self._errors = service, theeye, errors

    def ask(self, method: str, target: str, name: str = "", body: bytes = b"", **headers: str) -> int:
        """Send one request with the id `name`, and return the status."""
        sent = {"Content_Type": "application/json", "X_Request_Id": name, "Content_Length": str(len(body)), **headers}
        return self.service.ask(method, target, body, **sent).status

    def lines_of(self, name: str) -> list[str]:
        """Return the lines of a request on standard output."""
        return [line for line in self.service.log_text().splitlines() if name in line]

    def line_of(self, name: str) -> dict[str, Any]:
        wait_until(lambda: self.lines_of(name) != [], 20, "the line")
        [line] = self.lines_of(name)
        found = json.loads(line)
        assert list(found) == FIELDS
        assert isinstance(found, dict)
        return found

    def messages(self) -> str:
        return whole_lines(self._errors)


def serve(theeye: StandIn, home: Path, worker: str, form: str, **env: str) -> Service:
    plugin = home / "crashing.py"
    plugin.write_text(PLUGIN)
    env = environment(theeye, log=form, plugins=str(plugin)) | env
    args = ("--error-logfile", str(home / "errors"), "--log-level", "debug")
    return Service(env, worker=worker, args=args)


def newest(logged: LoggedService) -> str:
    return list(logged.theeye.jobs)[-1]
