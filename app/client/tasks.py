"""List the tasks or the workflows that can be run."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from app.client.misuse import Misuse
from app.client.outcome import Answer, Exit
from app.client.service import Cut, Service
from app.client.streams import say, write
from app.client.tables import table
from app.client.target import is_name
from app.telemetry.text import escape

COLUMNS = ("ID", "NAME", "ARGUMENTS")


def list_runnable(service: Service, customer: str, kind: str, as_json: bool) -> Exit:
    """Write the tasks or workflows that the token may see: a table, or the service's own JSON."""
    if not is_name(customer) or "/" in customer:
        raise Misuse(f"name one customer, whose {kind}s to list: CUSTOMER")
    try:
        answer = service.ask("GET", f"/{quote(customer, safe='')}/{kind}")
    except Cut as cut:
        say(str(cut))
        return Exit.SERVICE_FAILED
    found = _listed(answer)
    if found is None:
        say(answer.words)
        return answer.exit
    shown = answer.body if as_json else escape("\n".join(table([COLUMNS, *map(_row, found)]))).encode(errors="replace")
    if wrong := write(shown + b"\n"):
        say(f"the list cannot be written: {wrong}")
        return Exit.SERVICE_FAILED
    return Exit.SUCCESS


def _listed(answer: Answer) -> list[Mapping[str, Any]] | None:
    """Return the list of an answer, or None if it is an error."""
    try:
        found = json.loads(answer.body) if answer.status == 200 else None
    except ValueError:
        return None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else None


def _row(runnable: Mapping[str, Any]) -> Sequence[str]:
    """Return the cells of a row, each without line breaks."""
    arguments = [each for each in runnable.get("task_arguments") or [] if isinstance(each, dict)]
    shown = [_argument(each) for each in arguments]
    cells = (str(runnable.get("id")), str(runnable.get("name")), ", ".join(shown) or "-")
    return [" ".join(cell.split()) for cell in cells]


def _argument(argument: Mapping[str, Any]) -> str:
    """Return an argument's name: (in parentheses) if it is fixed, [in brackets] if it may be null."""
    name = str(argument.get("label") or argument.get("id") or argument.get("type"))
    if argument.get("type") == "fixed":
        return f"({name})"
    return name if argument.get("required") else f"[{name}]"
