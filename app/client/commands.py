"""Define the commands `theeye-sync run`, `result`, `cancel`, `tasks` and `workflows`.

Each command imports its code when it runs. gunicorn's master imports this module before gevent patches locks, and the
import of requests makes locks.
"""

import math
import re
import uuid
from collections.abc import Callable
from functools import partial, wraps
from inspect import getdoc
from typing import TYPE_CHECKING, Any

import click

from app.client.misuse import Misuse
from app.client.outcome import Exit
from app.client.target import TASK, WORKFLOW, Target, target_of
from app.client.token import read_token, token_option
from app.settings import CLIENT_TOKEN, CLIENT_URL

if TYPE_CHECKING:
    from app.client.service import Service

DEFAULT_URL = "http://127.0.0.1:6090"  # the default of SYNC_BIND
EXITS = """Exit status: 0 success, 1 the job failed, 2 misuse, 3 the time is up, 4 refused, 5 TheEye or the service
failed, 130 Ctrl-C."""
_MODE = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(=(0|[1-9][0-9]*))?")
_LONGEST_WAIT = 999_999_999.0  # seconds; the service reads nine digits
_KEY = re.compile(r"[\x21-\x7e]{1,255}")

Command = Callable[..., Exit]


def _connected(command: Command) -> Callable[..., None]:
    """Add the options for the service's URL and the token; call the command with a Service."""

    @wraps(command)
    def connect(url: str, from_stdin: bool, token_file: str | None, insecure: bool, **rest: Any) -> None:
        from app.client.service import Service

        if from_stdin and rest.get("json_file") == "-":
            raise Misuse("the token and the body cannot both come from standard input")
        token = read_token(CLIENT_TOKEN, from_stdin, token_file)
        if token is None:
            raise Misuse(f"there is no token: set {CLIENT_TOKEN}, or use `--token -` or `--token-file FILE`")
        raise SystemExit(command(Service(url, token, insecure), **rest))

    connect.__doc__ = f"{getdoc(command)}\n\n{EXITS}"
    where = click.option(
        "--url", envvar=CLIENT_URL, default=DEFAULT_URL, help=f"The service's URL; or set {CLIENT_URL}."
    )
    file = click.option(
        "--token-file", type=click.Path(), metavar="FILE", help="Read the token from a file, mode 0600."
    )
    plain = click.option("--insecure", is_flag=True, help="Allow plain http to another machine.")
    decorated: Callable[..., None] = where(token_option(CLIENT_TOKEN)(file(plain(connect))))
    return decorated


def _read_mode(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if value and not _MODE.fullmatch(value):
        raise Misuse("write a mode as NAME or NAME=INDEX, such as parse or parse=1")
    return "" if value == "output" else value


def _read_wait(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    try:
        seconds = None if value is None else float(value)
    except ValueError:
        seconds = -1.0
    if seconds is not None and not 0 <= seconds < math.inf:
        raise Misuse("--wait takes seconds")
    return None if seconds is None else min(seconds, _LONGEST_WAIT)


def _read_key(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _KEY.fullmatch(value):
        raise Misuse("a key has 1 to 255 visible ASCII characters")
    return value


_mode = click.option("--mode", default="", callback=_read_mode, help="parse, parse=INDEX, response, full, result, …")
_wait = click.option("--wait", metavar="SECONDS", callback=_read_wait, help="Wait at most this long.")


@click.command()
@click.argument("target", metavar="CUSTOMER/TASK", callback=target_of("CUSTOMER/TASK"))
@click.argument("arguments", metavar="[ARGUMENT]...", nargs=-1)
@_mode
@_wait
@click.option(
    "--json", "json_file", type=click.Path(allow_dash=True), metavar="FILE", help="Send this JSON; -: standard input."
)
@click.option(
    "--file",
    "files",
    multiple=True,
    metavar="NAME=PATH",
    help="Send a file; with the name task_arguments it is an argument.",
)
@click.option("--key", callback=_read_key, help="The Idempotency-Key; by default each run has a new one.")
@click.option("--async", "at_once", is_flag=True, help="Do not wait: print the job, for `theeye-sync result`.")
@_connected
def run(
    service: "Service",
    target: Target,
    arguments: tuple[str, ...],
    mode: str,
    wait: float | None,
    json_file: str | None,
    files: tuple[str, ...],
    key: str | None,
    at_once: bool,
) -> Exit:
    """Run a task through a service and print its answer.

    CUSTOMER/workflow/WORKFLOW runs a workflow. Put -- before arguments that begin with -.
    """
    from app.client.arguments import body_of
    from app.client.call import Call
    from app.client.ending import carry_out, write_answer, write_job

    body = body_of(arguments, json_file, files)
    call = Call(service, target, mode, wait, at_once)
    follow = partial(call.run, body, key or uuid.uuid4().hex, key is None)
    return carry_out(call, follow, write_job if at_once else write_answer)


@click.command()
@click.argument("target", metavar="CUSTOMER/TASK/JOB", callback=target_of("CUSTOMER/TASK/JOB"))
@_mode
@_wait
@_connected
def result(service: "Service", target: Target, mode: str, wait: float | None) -> Exit:
    """Fetch the answer of a job; wait first if it has not ended."""
    from app.client.call import Call
    from app.client.ending import carry_out, write_answer

    call = Call(service, target, mode, wait)
    return carry_out(call, call.follow, write_answer)


@click.command()
@click.argument("target", metavar="CUSTOMER/TASK/JOB", callback=target_of("CUSTOMER/TASK/JOB"))
@_connected
def cancel(service: "Service", target: Target) -> Exit:
    """Cancel a job. This fails if the job has already ended."""
    from app.client.call import Call
    from app.client.ending import carry_out, tell_cancel

    call = Call(service, target, mode="", wait=None)
    return carry_out(call, lambda _: call.cancel(), tell_cancel)


@click.command()
@click.argument("customer", metavar="CUSTOMER")
@click.option("--json", "as_json", is_flag=True, help="Print the service's JSON.")
@_connected
def tasks(service: "Service", customer: str, as_json: bool) -> Exit:
    """List the tasks that the token may see.

    The table has id, name and arguments: [name] may be null, (name) is fixed.
    """
    from app.client.tasks import list_runnable

    return list_runnable(service, customer, TASK, as_json)


@click.command()
@click.argument("customer", metavar="CUSTOMER")
@click.option("--json", "as_json", is_flag=True, help="Print the service's JSON.")
@_connected
def workflows(service: "Service", customer: str, as_json: bool) -> Exit:
    """List the workflows that the token may see.

    The table has id, name and the arguments of the first task: [name] may be null, (name) is fixed.
    """
    from app.client.tasks import list_runnable

    return list_runnable(service, customer, WORKFLOW, as_json)
