"""Read server-sent events (HTML Living Standard, section 9.2).

Published packages do not fit: they bring their own HTTP library, or copy a long line again for each of its pieces.
"""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from app.client.outcome import Answer, answer_of


class Event(NamedTuple):
    """Hold one event."""

    name: str
    id: str
    data: Any


def read_events(pieces: Iterable[bytes]) -> Iterator[Event]:
    """Yield the events of a stream; leave out one that is cut off. Raise ValueError."""
    fields: dict[str, str] = {}
    for line in _lines(pieces):
        name, _, value = line.decode().partition(":")
        if name:
            fields[name] = value.removeprefix(" ")
        elif not line:  # a line without a name is a comment
            if "data" in fields:
                yield Event(fields.get("event", "message"), fields.get("id", ""), json.loads(fields["data"]))
            fields = {}


def answer_in(event: Event) -> Answer | None:
    """Return the answer in an event, or None for another event. Raise ValueError or LookupError."""
    data = event.data
    if event.name == "error":
        return Answer(int(data["status"]), {}, b"", data)
    if event.name != "answer":
        return None
    headers = {
        name.lower(): value if isinstance(value, str) else ", ".join(value) for name, value in data["headers"].items()
    }
    body = base64.b64decode(data["body"]) if data.get("isBase64Encoded") else data["body"].encode()
    return answer_of(data["status"], headers, body)


def lifecycle_in(data: Mapping[str, Any]) -> str:
    """Return the words of a lifecycle event: the job's own lifecycle, or that of one of a workflow's tasks."""
    task = data.get("task")
    return f"{task['name']}: {task['lifecycle']}" if task else str(data["lifecycle"])


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield whole lines; join the pieces of a line once, since an answer is a long line of many pieces."""
    begun: list[bytes] = []
    for piece in pieces:
        *ended, rest = piece.split(b"\n")
        for end in ended:
            yield b"".join([*begun, end]).removesuffix(b"\r")
            begun = []
        begun.append(rest)
