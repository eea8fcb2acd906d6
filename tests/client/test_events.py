"""Test the events of a stream, whatever pieces its bytes arrive in."""

import pytest

from app.client.events import Event, answer_in, lifecycle_in, read_events

STREAM = (
    b": a comment\n\nevent: job\nid: j:\ndata: {}\n\nevent: lifecycle\ndata: {\"lifecycle\":\"r\xc3\xa9ady\"}\n\n"
    b": a comment\n\nevent:answer\r\nid:j:answer\r\ndata:{\"status\":200}\r\n\r\nevent: answer\ndata: {\"sta"
)  # fmt: skip
EVENTS = [
    Event("job", "j:", {}),
    Event("lifecycle", "", {"lifecycle": "réady"}),
    Event("answer", "j:answer", {"status": 200}),
]


@pytest.mark.parametrize("size", [1, 2, 7, len(STREAM)])
def test_they_are_read_in_pieces_of_any_size(size: int) -> None:
    assert list(read_events(STREAM[start : start + size] for start in range(0, len(STREAM), size))) == EVENTS


def test_an_answer_is_the_body_as_it_was() -> None:
    headers = {"X-Job-State": "success", "Set": ["a", "b"]}
    data = {"status": 200, "headers": headers, "body": "/wA=", "isBase64Encoded": True}
    answer = answer_in(Event("answer", "", data))
    assert answer is not None
    assert (answer.body, answer.headers["set"], answer.error) == (b"\xff\0", "a, b", None)
    assert answer_in(Event("lifecycle", "", {})) is None


def test_the_words_of_a_lifecycle() -> None:
    assert lifecycle_in({"lifecycle": "ready"}) == "ready"
    assert lifecycle_in({"lifecycle": "ready", "task": {"name": "One", "lifecycle": "assigned"}}) == "One: assigned"
