"""Read server-sent events (HTML Living Standard, section 9.2).

The clients on the package index bring an HTTP library of their own, or join a long line again for each of its pieces.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from app.client.outcome import Answer, answer_of


class Event(NamedTuple):
    """Hold one event."""

    name: str
    id: str
    data: Any


def read_events(pieces: Iterable[bytes]) -> Iterator[Event]:
    """Yield the events of a stream that comes in pieces; one that is cut short is left out. Raise ValueError."""
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
    """Return the answer that an event tells; None where it is not the last one. Raise ValueError or LookupError."""
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


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield whole lines; an answer is one line of many pieces, which are joined once."""
    begun: list[bytes] = []
    for piece in pieces:
        *ended, rest = piece.split(b"\n")
        for end in ended:
            yield b"".join([*begun, end]).removesuffix(b"\r")
            begun = []
        begun.append(rest)
