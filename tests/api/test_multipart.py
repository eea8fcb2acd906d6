"""Test multipart forms: which fields and files TheEye gets, and a clear error for anything else."""

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from support.client import error_of, post
from support.theeye import StandIn

from app.api import multipart
from app.api.arguments import for_supervisor
from app.errors import BadRequest

FORM = "multipart/form-data; boundary=X-y"


def part(name: str, content: bytes = b"1", filename: str | None = None, media_type: str = "") -> bytes:
    lines = [f'--X-y\r\nContent-Disposition: form-data; name="{name}"']
    lines[0] += "" if filename is None else f'; filename="{filename}"'
    head = "\r\n".join([*lines, *([f"Content-Type: {media_type}"] if media_type else [])])
    return head.encode() + b"\r\n\r\n" + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--X-y--\r\n"


def read(*parts: bytes) -> Any:
    return json.loads(for_supervisor(form(*parts), FORM) or b"null")


def test_fields_and_files_of_task_arguments_keep_their_order(client: FlaskClient, theeye: StandIn) -> None:
    file = part("task_arguments", b"a\r\n--X\r\n\r\nb\r", "../../report.csv", "text/csv; charset=utf-8")
    body = form(part("task_arguments", b"1"), file, part("task_arguments", "ñ".encode()))
    assert post(client, body=body, Content_Type=FORM).status_code == 200
    create = theeye.calls_of("create")[-1]
    assert json.loads(create.body) == {"task_arguments": ["1", "data:text/csv;base64,YQ0KLS1YDQoNCmIN", "ñ"]}
    assert create.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("parts", "value"),
    [
        ([part("report", b"a", "r.csv", "text/csv")], {"report": "data:text/csv;base64,YQ=="}),
        ([part("a[b]", b"x", "", "image/png"), part("a[c]")], {"a": {"b": "data:image/png;base64,eA==", "c": "1"}}),
        ([part("task_arguments[1]", b"b"), part("task_arguments[0]", b"", "f")],
         {"task_arguments": ["data:application/octet-stream;base64,", "b"]}),
        ([part("task_arguments", b"", "", "application/octet-stream")], {"task_arguments": [""]}),
        ([part("a", "ñ".encode("latin-1"), None, "text/plain; charset=iso-8859-1")], {"a": "ñ"}),
        ([part(name) for name in ("lifecycle", "lifecycle[]", "[wait_result]", "wait_result[x]", "a")], {"a": "1"}),
        ([part(name) for name in ("access_token", "wait[]", "[on_disconnect]", "strict[x]", "a")], {"a": "1"}),
        ([part("a", b"x", None, "text/plain\r\nContent-Transfer-Encoding: 8bit ")], {"a": "x"}),
        ([], {}),
    ],
)  # fmt: skip
def test_a_form_becomes_one_object(parts: list[bytes], value: Any) -> None:
    assert read(*parts) == value


@pytest.mark.parametrize("media_type", ["csv", "text/../../x", "te xt/csv", "text/csv,x;base64,", "/", "é/x", ""])
def test_a_media_type_that_is_none_is_not_passed_on(media_type: str) -> None:
    assert read(part("a", b"", "f", media_type)) == {"a": "data:application/octet-stream;base64,"}


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (form(part("")), FORM, "no name"),
        (form(part("a").replace(b'name="a"', b"")), FORM, "no name"),
        (form(part("a").replace(b"Content-Disposition", b"X")), FORM, "damaged"),
        (part("a"), FORM, "cut off"),
        (form(part("a"))[:-4], FORM, "cut off"),
        (form(part("a")), FORM + "z", "damaged"),
        (form(part("a")), "multipart/form-data", "no boundary"),
        (form(part("a")), 'multipart/form-data; boundary="é"', "no boundary"),
        (form(*[part("a")] * 1001), FORM, "more than 1000 parts"),
        (form(part("a" * 200_000)), FORM, "too long names"),
        (form(*[part("a" * 2000)] * 600), FORM, "too long names"),
        (form(part("a", b"\xff")), FORM, "UTF-8"),
        (form(part("a", b"a\0", None, "text/plain; charset=utf-16")), FORM, "charset"),
        (form(part("a", b"eA==", "f", "x/y\r\nContent-Transfer-Encoding: Base64")), FORM, "Content-Transfer-Encoding"),
        (form(part("a", b"--z--", None, "multipart/mixed; boundary=z")), FORM, "consists of parts"),
        (form(part("a"), part("a[b]")), FORM, "both a value and an object"),
    ],
)
def test_what_is_no_form_is_400(
    body: bytes, content_type: str, words: str, client: FlaskClient, theeye: StandIn
) -> None:
    assert words in error_of(post(client, body=body, Content_Type=content_type), 400, "EINVALID")["message"]
    assert not theeye.calls_of("create")


def test_the_limit_of_size_holds_for_what_is_sent_on(make_app: Callable[..., Flask]) -> None:
    client = make_app(max_body=4000).test_client()
    assert post(client, body=form(part("a", b"x" * 2900, "f")), Content_Type=FORM).status_code == 200
    refused = post(client, body=form(part("a", b"x" * 3100, "f")), Content_Type=FORM)
    assert "grows by a third" in error_of(refused, 413, "ETOOLARGE")["message"]
    control = post(client, body=b"a=" + b"\1" * 1000, Content_Type="application/x-www-form-urlencoded")
    error_of(control, 413, "ETOOLARGE")


def test_it_is_read_the_same_wherever_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    content, parts = os.urandom(500), [part("a", b"\r\n--X-y" * 9, "f"), part("b", b"", "f"), part("c", b"-\r")]
    whole = read(*parts, part("d", content, "f"))
    for piece in range(100, 400):
        monkeypatch.setattr(multipart, "_PIECE", piece)
        assert read(*parts, part("d", content, "f")) == whole


@given(
    st.lists(st.sampled_from([b"--X-y", b"--", b"\r\n", b"\n", b'Content-Disposition: form-data; name="a"', b"\xff"]))
)
def test_any_bytes_are_a_form_or_a_clear_error(pieces: list[bytes]) -> None:
    try:
        found = for_supervisor(b"".join(pieces), FORM)
    except BadRequest:
        return
    assert found is None or isinstance(json.loads(found), dict)
