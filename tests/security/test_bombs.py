"""Test bodies made to cost more than their size, and bodies that two readers could understand differently."""

import gzip
import json
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import parse_qsl

import pytest
from flask.testing import FlaskClient
from support.client import error_of, post
from support.processes import Service
from support.theeye import JOB, StandIn
from support.world import over_http

from app.api.arguments import for_supervisor
from app.api.codings import decode
from app.errors import BadRequest, TooLarge
from formatters import Answer, Context, Formatter, Registry, TooCostly, cost, jsontext, loads
from formatters.jsontext import loads_document
from formatters.testing import run

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
SIZE = 4 << 20
SCALE = 8  # texts are so many times smaller here, and what they may cost too
SECONDS = 8.0  # measured: below one; machines differ, but what is quadratic takes minutes

REFUSED = {
    "arrays in arrays": b"[" * SIZE,
    "arrays in arrays, closed": b"[" * (SIZE // 2) + b"]" * (SIZE // 2),
    "objects in objects": b'{"a":' * (SIZE // 5) + b"1" + b"}" * (SIZE // 5),
}
PASSED_ON = {
    "one integer": b"[" + b"9" * SIZE + b"]",
    "one fraction": b"[0." + b"9" * SIZE + b"]",
    "one exponent": b"[1e" + b"9" * SIZE + b"]",
    "many integers": b"[" + b",".join([b"9" * 4400] * (SIZE // 4401)) + b"]",
    "one key many times": b"{" + b",".join([b'"k":1'] * (SIZE // 6)) + b"}",
    "many escapes": b'["' + b"\\u0041" * (SIZE // 6) + b'"]',
}
ITEMS = {  # each costs many times its size to read
    "arrays": b"[]",
    "arrays in arrays": b"[[[[1]]]]",
    "objects": b"{}",
    "objects with a member": b'{"a":1}',
    "short strings": b'"ab"',
    "strings with an escaped end": b'"\\\\","\\""',
    "wide strings": '"\U0001f600"'.encode(),
    "small numbers": b"1e-5",
    "numbers written with all their digits": b"1e20",
    "large numbers": b"9" * 4299,
    "keys": b'{"%x":1,"%x":2}',
}
ORDINARY = {
    "records": b'{"id":12345,"name":"Ada Lovelace","value":1.5,"active":true}',
    "coordinates": b"[-34.603722,-58.381592]",
    "lines": b'"2022-01-28 17:00:22 [INFO] {a, b}, \\"c\\": [1, 2, 3], and so on, and so forth, as logs are"',
}
FORMS = {
    "many fields": b"a=1&" * (SIZE // 4),
    "many escapes": b"a=" + b"%41" * (SIZE // 3),
    "what only looks like escapes": b"a=" + b"%" * SIZE,
}


PART = b'--X\r\nContent-Disposition: form-data; name="a"%b\r\n\r\n%b\r\n'
PARTS = {
    "wide characters": PART % (b"", "\U0001f600".encode() + b"a" * SIZE),
    "control characters": PART % (b"", b"\1" * SIZE),
    "a file": PART % (b"; filename=x", b"\r\n--Y" * (SIZE // 5)),
    "many lines of a head": (PART % (b"\r\nX" * 5000, b"")) * 20,
}


@pytest.fixture
def scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the limits, so that texts of an eighth of the size reach them."""
    monkeypatch.setattr(cost, "SECONDS", cost.SECONDS / SCALE)
    monkeypatch.setattr(cost, "BASE", cost.BASE // SCALE)


@contextmanager
def within(seconds: float = SECONDS) -> Iterator[None]:
    """Raise AssertionError if this thread computes for longer."""
    began = time.thread_time()
    yield
    assert time.thread_time() - began < seconds


@contextmanager
def takes_at_most(size: int) -> Iterator[None]:
    """Raise AssertionError if the block takes more memory."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()


def bomb(item: bytes, size: int = 2 * SIZE // SCALE) -> bytes:
    """Return a list of about this size; each `%x` in the item becomes another number."""
    if b"%x" in item:
        return b"[" + b",".join(item % (number, -number) for number in range(size // len(item))) + b"]"
    return b"[" + b",".join([item] * (size // (len(item) + 1))) + b"]"


@pytest.mark.parametrize("what", REFUSED)
def test_a_body_nested_too_deeply_is_refused_at_once(what: str) -> None:
    with within(), pytest.raises(BadRequest, match="nested too deeply"):
        for_supervisor(REFUSED[what], JSON)


@pytest.mark.parametrize("what", PASSED_ON)
def test_a_large_body_goes_on_as_it_came_and_in_time(what: str) -> None:
    with within():
        assert for_supervisor(PASSED_ON[what], JSON) == PASSED_ON[what]


@pytest.mark.parametrize("what", FORMS)
def test_a_form_that_would_take_long_is_refused_at_once(what: str) -> None:
    with within(1), pytest.raises(BadRequest):
        for_supervisor(FORMS[what], FORM)


@pytest.mark.parametrize("what", PARTS)
def test_a_form_with_files_takes_less_than_ten_times_its_size(what: str) -> None:
    body = PARTS[what] + b"--X--"
    with within(), takes_at_most(9 * len(body)), suppress(BadRequest, TooLarge):
        for_supervisor(body, "multipart/form-data; boundary=X", 2 * SIZE)


def test_what_inflates_to_too_much_takes_no_memory() -> None:
    body = gzip.compress(bytes(7 * SIZE))
    with within(), takes_at_most(1 << 20), pytest.raises(TooLarge):
        decode(body, "gzip", 6 * SIZE)


def test_names_in_names_are_read_five_levels_deep() -> None:
    with within():
        assert for_supervisor(b"a" + b"[b]" * (SIZE // 3) + b"=1", FORM) == b'{"a":{"b":{"b":{"b":{"b":{"b":"1"}}}}}}'


@pytest.mark.parametrize("field", ["lifecycle", "wait_result"])
@pytest.mark.parametrize(
    "body", ['{"F":"onhold","F":"ready","a":1}', '{"a":1,"\\u00XX...":"onhold"}', '{"a":1,"F":{"F":1}}']
)
def test_a_field_that_is_not_the_callers_is_taken_out_however_it_is_written(body: str, field: str) -> None:
    body = body.replace("\\u00XX...", f"\\u{ord(field[0]):04x}{field[1:]}").replace("F", field)
    sent: Any = json.loads(for_supervisor(body.encode(), JSON) or b"")
    assert sent == {"a": 1}


@pytest.mark.usefixtures("scaled")
@pytest.mark.parametrize("what", ITEMS)
def test_what_costs_too_much_is_refused_before_it_is_read(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = bomb(ITEMS[what])
    read: list[int] = []
    monkeypatch.setattr(jsontext, "_strict", lambda text: read.append(len(text)))
    with pytest.raises(TooLarge):
        for_supervisor(text, JSON)
    for mode in ("parse", "response"):
        with pytest.raises(TooCostly):
            run(Registry()[mode], {"output": [text.decode()]}, mode)
    assert max(read) <= cost.HEAD


@pytest.mark.usefixtures("scaled")
def test_texts_that_one_request_reads_cost_together_what_one_may() -> None:
    text = bomb(b"[]", (1 << 17) // SCALE).decode()

    class Reads(Formatter):
        name, queries = "reads", ("reads",)

        def format(self, context: Context) -> Answer:
            return Answer(len([loads(text) for text in context.output]), 200)

    assert run(Reads(), {"output": [text] * 2}, "reads").json() == 2
    with pytest.raises(TooCostly):
        run(Reads(), {"output": [text] * 20}, "reads")


@pytest.mark.usefixtures("scaled")
@pytest.mark.parametrize("what", ORDINARY)
def test_five_megabytes_of_ordinary_json_are_read(what: str) -> None:
    text = b"[" + b",".join([ORDINARY[what]] * (5_000_000 // SCALE // len(ORDINARY[what]))) + b"]"
    assert run(Registry()["parse"], {"output": [text.decode()]}, "parse").body == text
    assert loads_document(text) == json.loads(text)


@pytest.mark.parametrize("head", ["1,", "[INFO] ", '{"a":1} ', "[" * 100_000])
def test_what_is_no_json_stays_the_raw_output_however_much_follows(head: str) -> None:
    output = [head + "[]," * (SIZE // 8)]
    assert run(Registry()["parse"], {"output": output}, "parse").json() == output


def test_a_costly_output_is_502_in_a_mode_that_reads_it_and_shown_in_one_that_does_not(
    client: FlaskClient, theeye: StandIn
) -> None:
    text = bomb(b"[]", 1 << 20).decode()
    theeye.task(output=[text], result={})
    error = error_of(post(client, f"{JOB}?parse"), 502, "EFORMATTER")
    assert error["job"]["lifecycle"] == "finished"
    assert post(client).get_json() == [text]


@pytest.mark.parametrize("query", ["", "?parse", "?full"])
def test_a_costly_document_is_502_with_its_id(query: str, client: FlaskClient, theeye: StandIn) -> None:
    theeye.task(output=["x"], result={"output": [[]] * (SIZE // 8)})
    error = error_of(post(client, f"{JOB}{query}"), 502, "EJOBTOOLARGE")
    assert error["job"]["id"] in theeye.jobs


@pytest.mark.parametrize("letters", ["x", "\U0001f600", '"e-05', "\x01"])
@pytest.mark.parametrize("count", [1, 300])
def test_a_long_text_is_written_in_pieces_as_it_is_as_a_whole(letters: str, count: int) -> None:
    value = {"a": [letters * 10_000, 1e-5] * count, letters: "e-05", **{f"k{number}": 1 for number in range(count)}}
    whole = json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace(",1e-05", ",0.00001")
    assert jsontext.dumps(value) == whole.encode()


WIDE = "\U0001f600" + "a" * 1000


def nested(value: Any, levels: int) -> Any:
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize(
    "value",
    [
        [WIDE] * 4000,
        {f"k{number}": WIDE for number in range(4000)},
        nested(WIDE * 4000, 5),
        nested(WIDE * 4000, 80),
        [nested(WIDE * 4000, 60), *range(300)],
    ],
    ids=["list", "object", "deep", "deeper", "deep in a long list"],
)
def test_many_items_are_written_with_pauses_for_other_greenlets(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece is short, so that Python's own form of it, with four bytes a character, takes little memory."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with takes_at_most(3 * 4000 * len(WIDE)):
        written = jsontext.dumps(value)
    assert json.loads(written) == value
    assert len(pauses) > 10


def test_a_value_within_itself_is_an_error_at_once() -> None:
    """As a plugin could return it: looking for long values in it comes to an end."""
    parent: dict[str, Any] = {}
    parent["children"] = [{"parent": parent} for _ in range(20)]
    with pytest.raises((RecursionError, ValueError)):
        jsontext.dumps(parent)


@pytest.mark.parametrize("shift", range(4))
def test_a_long_form_is_read_in_pieces_as_it_is_as_a_whole(shift: int) -> None:
    form = b"a=" + b"x" * shift + b"%C3%A9%+" * 40_000 + b"&b&a=%4&c%5B%5D=1"
    fields = parse_qsl(form.decode(), keep_blank_values=True)
    (_, long), *_ = fields
    assert for_supervisor(form, FORM) == jsontext.dumps({"a": [long, "%4"], "b": "", "c": ["1"]})


def test_health_is_answered_while_bombs_are_looked_at(service: Callable[..., Service], theeye: StandIn) -> None:
    """To read one of them would block the only worker, a gevent one, for ten seconds."""
    text, took = bomb(b"[]", 16_000_000), list[float]()
    theeye.task(output=[text.decode()], result={})
    send = over_http(service("gevent").url)
    requests = [(f"{JOB}?parse", b"[]"), (f"{JOB}?response", b"[]"), (JOB, text)] * 2
    with ThreadPoolExecutor(len(requests)) as pool:
        answers = [pool.submit(send, "POST", *request, Content_Type=JSON) for request in requests]
        while not took or not all(answer.done() for answer in answers):
            began = time.monotonic()
            assert send("GET", "/healthz", b"").status_code == 200
            took.append(time.monotonic() - began)
    assert [answer.result().status_code for answer in answers] == [502, 502, 413] * 2
    assert max(took) < 5
