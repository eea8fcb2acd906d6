"""Represent the outcome of a call: the answer, and the exit status of the command."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

OWN_CODES = ("EFORMATTER", "EJOBENDED", "EINTERNAL")  # the service's own errors about a job that has ended
LATE_CODES = ("ETIMEISUP", "ESTARTING")
UNKNOWN, GONE = "EOUTCOMEUNKNOWN", "EJOBGONE"
OPEN_CODES = (UNKNOWN, "ESTARTING", "EINTERNAL")  # without a job's id they do not say whether there is a job
FAILURES = (UNKNOWN, GONE)  # also with the statuses 409 and 410


class Exit(IntEnum):
    """Name the exit statuses; docs/cli.md explains them."""

    SUCCESS = 0
    JOB_FAILED = 1
    MISUSE = 2  # click's
    TIME_IS_UP = 3
    REFUSED = 4
    SERVICE_FAILED = 5
    INTERRUPTED = 130  # 128 + SIGINT, as shells report Ctrl-C


@dataclass(frozen=True)
class Answer:
    """Hold an answer: the service's own if `error` is set, else the job's. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    error: Mapping[str, Any] | None = None

    @property
    def code(self) -> str:
        """Return the code of the service's error, or an empty text."""
        return str((self.error or {}).get("code") or "")

    @property
    def words(self) -> str:
        """Return the code and message of the service's error, and TheEye's own answer if it has one."""
        error = self.error or {}
        value = [json.dumps(error["value"], ensure_ascii=False)] if "value" in error else []
        return ": ".join([*filter(None, [self.code]), str(error.get("message", self.status)), *value])

    @property
    def is_ours(self) -> bool:
        """Return whether the error is the service's own; all of them but the bare string of 401 have a code."""
        return "code" in (self.error or {})

    @property
    def tells_start(self) -> bool:
        """Return whether the service's own words say that nothing, or perhaps a job, was started."""
        return self.is_ours and self.code != "EGATEWAY"  # which is known before anything is started

    @property
    def may_have_started(self) -> bool:
        """Return whether a job may exist although its id is not known."""
        return self.code in OPEN_CODES or (not self.is_ours and self.status < 300)

    @property
    def exit(self) -> Exit:
        """Return the exit status of the command."""
        if self.error is None:
            has_succeeded = self.headers.get("x-job-state") == "success" and self.status < 400
            return Exit.SUCCESS if has_succeeded else Exit.JOB_FAILED
        if self.status == 202 or self.code in LATE_CODES:
            return Exit.TIME_IS_UP
        if 400 <= self.status < 500 and self.code not in FAILURES:
            return Exit.REFUSED
        return Exit.SERVICE_FAILED


def answer_of(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """Return an answer about a job; find out if it is the job's or an error of the service."""
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    code = value.get("code") if isinstance(value, dict) else None
    if "x-job-state" in headers and code not in OWN_CODES:
        return Answer(status, headers, body)
    if isinstance(value, str):  # the body of 401 is a string
        value = {"message": value}
    if not isinstance(value, dict) or "message" not in value:
        value = {"message": f"status {status}, and the answer is not from TheEye Sync; is the URL right?"}
    return Answer(status, headers, body, value)
