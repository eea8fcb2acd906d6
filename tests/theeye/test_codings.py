"""Test answers that a proxy has compressed without being asked."""

import gzip
import zlib

import pytest
from support.theeye import Reply, StandIn
from support.transport import LIMIT, opened

from app.theeye.transport import AnswerLost, AnswerTooLarge

BODY = b'{"a":1}' * 100


@pytest.mark.parametrize(
    ("coding", "sent"),
    [
        ("gzip", gzip.compress(BODY)),
        ("X-GZIP ", gzip.compress(BODY)),
        ("deflate", zlib.compress(BODY)),
        ("identity", BODY),
        ("utf-8", BODY),
    ],
    ids=["gzip", "x-gzip", "deflate", "identity", "no coding"],  # the time stands in what gzip writes
)
def test_a_coding_is_undone(coding: str, sent: bytes, theeye: StandIn) -> None:
    theeye.fault("any", Reply(200, sent, {"Content-Encoding": coding}), times=1)
    theeye.fault("any", Reply(200, b"", {"Content-Encoding": coding}), times=1)
    with opened(theeye.url) as transport:
        assert transport.call("GET", "/x").body == BODY
        assert transport.call("GET", "/x").body == b""


@pytest.mark.parametrize(
    ("sent", "error", "words"),
    [
        (gzip.compress(b"0" * 1000 * LIMIT), AnswerTooLarge, f"more than {LIMIT} bytes"),
        (gzip.compress(BODY)[:-9], AnswerLost, "cut off"),
        (BODY, AnswerLost, "damaged or in another form"),
    ],
    ids=["too large", "cut off", "not compressed"],
)
def test_what_is_too_large_or_broken(sent: bytes, error: type[Exception], words: str, theeye: StandIn) -> None:
    theeye.fault("any", Reply(200, sent, {"Content-Encoding": "gzip"}), times=1)
    with opened(theeye.url) as transport, pytest.raises(error, match=words):
        transport.call("GET", "/x")
