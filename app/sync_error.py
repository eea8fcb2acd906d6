"""Define the base class of all errors: it carries the HTTP answer, in TheEye's shape. app/errors.py has the tree."""

from collections.abc import Mapping
from math import ceil
from types import MappingProxyType
from typing import Any, Protocol

UNSET: Any = object()
MOST_RETRY_AFTER = 60  # seconds: a run can be much shorter than the usual one


class Job(Protocol):
    """Define the facts about a job that an error shows; `app.theeye.jobs.Job` has them."""

    @property
    def id(self) -> str: ...  # noqa: D102

    @property
    def lifecycle(self) -> str | None: ...  # noqa: D102

    @property
    def state(self) -> str | None: ...  # noqa: D102

    @property
    def exit_code(self) -> int | None: ...  # noqa: D102

    @property
    def has_ended(self) -> bool: ...  # noqa: D102

    @property
    def running_for(self) -> float: ...  # noqa: D102


class SyncError(Exception):
    """Carry an error and its HTTP answer; `job` is set if a job exists."""

    status: int = 500
    code: str = "EINTERNAL"
    may_have_started: bool = False
    headers: Mapping[str, str] = MappingProxyType({})

    def __init_subclass__(cls, status: int | None = None, code: str | None = None, retry_after: int = 0) -> None:
        """Take status, code and the seconds of Retry-After from the class statement, or inherit them."""
        super().__init_subclass__()
        if status is not None:
            cls.status = status
        if code is not None:
            cls.code = code
        if retry_after:
            cls.headers = MappingProxyType({"Retry-After": str(retry_after)})

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        value: Any = UNSET,
        job: Job | None = None,
        may_have_started: bool | None = None,
        retry_after: str = "",
    ) -> None:
        """Take the message, and the values that differ from those of the class.

        `value` is TheEye's own answer, `job` the job as last read, and `retry_after` the value of the header.
        `may_have_started` means that TheEye may have created a job whose id is not known.
        """
        super().__init__(message)
        self.may_have_started = self.may_have_started if may_have_started is None else may_have_started
        self.message = message
        self.status = self.status if status is None else status
        self.code = self.code if code is None else code
        self.value = value
        self.job = job
        if retry_after:
            self.headers = {**self.headers, "Retry-After": retry_after}

    def body(self) -> Any:
        """Return the JSON body, in TheEye's shape."""
        body = {"message": self.message, "statusCode": self.status}
        if self.value is not UNSET:
            body["value"] = self.value
        body["name"] = "Accepted" if self.status < 400 else "ClientError" if self.status < 500 else "ServerError"
        body["code"] = self.code
        body["status"] = self.status
        if self.job is not None:
            body["job"] = {"id": self.job.id, "lifecycle": self.job.lifecycle, "state": self.job.state}
        return body


def retry_after(expected: float, running_for: float = 0.0) -> str:
    """Return the value of Retry-After: the expected seconds that are left; for a late run all expected seconds."""
    left = expected - running_for if running_for < expected else expected
    return str(min(max(ceil(left), 1), MOST_RETRY_AFTER))
