"""Name a task or a job in one word, as the commands take it and print it."""

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote

import click

from app.client.misuse import Misuse


class Target(NamedTuple):
    """Name a customer, one of its tasks, and perhaps a job of it."""

    customer: str
    task: str
    job: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, self))

    @property
    def path(self) -> str:
        """Return where the service has the job, or runs the task."""
        segments = (self.customer, "task", self.task, "job", *filter(None, [self.job]))
        return "".join(f"/{quote(segment, safe='')}" for segment in segments)


def target_of(form: str) -> Callable[[click.Context, click.Parameter, str], Target]:
    """Return a reader of CUSTOMER/TASK, or of CUSTOMER/TASK/JOB; it raises Misuse."""

    def read(context: click.Context, parameter: click.Parameter, value: str) -> Target:
        parts = value.split("/")
        # a segment of dots would lead to another path
        if len(parts) != len(form.split("/")) or not all(part.strip(".") and part.isprintable() for part in parts):
            raise Misuse(f"what to call is given as {form}")
        return Target(*parts)

    return read
