"""Read server-sent events, as an EventSource does."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from flask import Flask
from werkzeug.test import TestResponse

from support.client import RUN
from support.processes import request_bytes
from support.theeye import JOB


class Event(NamedTuple):
    """Hold an event, or a comment, which has no name."""

    name: str
    id: str
    data: Any


def read_events(parts: Iterable[bytes]) -> Iterator[Event]:
    """Yield the events of a body that arrives in parts."""
    rest = b""
    for part in parts:
        *blocks, rest = (rest + part).split(b"\n\n")
        yield from map(_event, blocks)
    assert rest == b""


def _event(block: bytes) -> Event:
    fields = dict(line.split(": ", 1) for line in block.decode().split("\n"))
    return Event(fields.get("event", ""), fields.get("id", ""), json.loads(fields.get("data", "null")))


@contextmanager
def stream(
    app: Flask, target: str = JOB, method: str = "POST", **headers: str
) -> Iterator[tuple[TestResponse, Iterator[Event]]]:
    """Yield an answer of the application while it is streamed, and its events."""
    sent = {"Accept": "text/event-stream", "Authorization": "Bearer tok-acme", "Content-Type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    got = app.test_client().open(target, method=method, data=RUN if method == "POST" else b"", headers=sent)
    with got:
        yield got, read_events(got.iter_encoded())


@contextmanager
def stream_of(
    url: str, target: str = JOB, method: str = "POST", **headers: str
) -> Iterator[tuple[HTTPResponse, Iterator[Event]]]:
    """Yield an answer of a service while it is streamed, and its events; close the connection at the end."""
    place = urlsplit(url)
    body = RUN if method == "POST" else b""
    sent = request_bytes(method, place.path + target, body, **{"Accept": "text/event-stream", **headers})
    with socket.create_connection((str(place.hostname), place.port or 80), 30) as sock:
        sock.sendall(sent)
        with HTTPResponse(sock, method=method) as got:
            got.begin()
            yield got, read_events(iter(lambda: got.read1(65536), b""))
