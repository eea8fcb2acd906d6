"""Name a task, a workflow or a job in one word, for the arguments and output of the commands."""

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote

import click

from app.client.misuse import Misuse

TASK, WORKFLOW = KINDS = ("task", "workflow")  # as in the service's paths


class Target(NamedTuple):
    """Name a customer, one of its tasks or workflows, and perhaps a job of it."""

    customer: str
    id: str
    job: str = ""
    kind: str = TASK

    def __str__(self) -> str:
        kind = "" if self.kind == TASK else self.kind
        return "/".join(filter(None, (self.customer, kind, self.id, self.job)))

    @property
    def path(self) -> str:
        """Return the service's path of the job, or the path that runs the task or workflow."""
        segments = (self.customer, self.kind, self.id, "job", *filter(None, [self.job]))
        return "".join(f"/{quote(segment, safe='')}" for segment in segments)


def is_name(part: str) -> bool:
    """Return whether a text can be a segment of a path; requests would resolve one of dots to another path."""
    return bool(part.strip(".")) and part.isprintable()


def target_of(form: str) -> Callable[[click.Context, click.Parameter, str], Target]:
    """Return a reader of a form, CUSTOMER/TASK or CUSTOMER/TASK/JOB; the reader raises Misuse.

    The second part may name the kind: CUSTOMER/workflow/WORKFLOW, or CUSTOMER/task/TASK.
    """

    def read(context: click.Context, parameter: click.Parameter, value: str) -> Target:
        parts = value.split("/")
        kind = parts.pop(1) if len(parts) > 2 and parts[1] in KINDS else TASK
        if len(parts) != len(form.split("/")) or parts[1] in KINDS or not all(map(is_name, parts)):
            raise Misuse(f"name it as {form}, or as {form.replace('TASK', 'workflow/WORKFLOW')}")
        customer, identifier, job = [*parts, ""][:3]
        return Target(customer, identifier, job, kind)

    return read
