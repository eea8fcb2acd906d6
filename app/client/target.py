"""Name a task or a job in one word, for the arguments and output of the commands."""

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote

import click

from app.client.misuse import Misuse


class Target(NamedTuple):
    """Name a customer, one of its tasks, and perhaps a job of the task."""

    customer: str
    task: str
    job: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, self))

    @property
    def path(self) -> str:
        """Return the service's path of the job, or the path that runs the task."""
        segments = (self.customer, "task", self.task, "job", *filter(None, [self.job]))
        return "".join(f"/{quote(segment, safe='')}" for segment in segments)


def target_of(form: str) -> Callable[[click.Context, click.Parameter, str], Target]:
    """Return a reader of a form, CUSTOMER/TASK or CUSTOMER/TASK/JOB; the reader raises Misuse."""

    def read(context: click.Context, parameter: click.Parameter, value: str) -> Target:
        parts = value.split("/")
        # requests would resolve a segment of dots to another path
        if len(parts) != len(form.split("/")) or not all(part.strip(".") and part.isprintable() for part in parts):
            raise Misuse(f"name it as {form}")
        return Target(*parts)

    return read
