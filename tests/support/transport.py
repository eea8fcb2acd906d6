"""Make a transport whose connections are closed at the end of a test."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from app.theeye.transport import Transport

LIMIT = 10_000  # the most bytes of an answer


@contextmanager
def opened(
    url: str = "http://theeye.example", connect_timeout: float = 5.0, call_timeout: float = 10.0, client_cert: str = ""
) -> Iterator[Transport]:
    with closing(Transport(url, connect_timeout, call_timeout, LIMIT, client_cert)) as transport:
        yield transport
