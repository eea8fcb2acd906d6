"""Test the body that is made of typed arguments and files."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from app.client.arguments import body_of
from app.client.misuse import Misuse

CSV, BYTES = b"a;b\n", b"\xff\0"


def url(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


A, B = url("text/csv", CSV), url("application/octet-stream", BYTES)


@pytest.mark.parametrize(
    ("arguments", "files", "body"),
    [
        ([], [], {"task_arguments": []}),
        (["1", "é", ""], [], {"task_arguments": ["1", "é", ""]}),
        (["x"], ["task_arguments=a.csv", "task_arguments[]=b"], {"task_arguments": ["x", A, B]}),
        (["x"], ["task_arguments=b", "task_arguments[0]=a.csv"], {"task_arguments": [A, "x", B]}),
        (["x"], ["task_arguments[2]=b", "task_arguments[0]=a.csv"], {"task_arguments": [A, "x", B]}),
        ([], ["report=a.csv", "other=b"], {"report": A, "other": B}),
        ([], ["report=a.csv", "report=b"], {"report": [A, B]}),
    ],
)
def test_arguments_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], files: list[str], body: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_bytes(CSV)
    Path("b").write_bytes(BYTES)
    assert json.loads(body_of(arguments, None, files)) == body
    assert body_of([], "b", []) == BYTES


@pytest.mark.parametrize("files", [["x=/dev/null", "task_arguments=/dev/null"], ["task_arguments[x]=/dev/null"]])
def test_named_files_beside_arguments(files: list[str]) -> None:
    with pytest.raises(Misuse, match="fields of one argument"):
        body_of(["1"], None, files)
