"""Make the body of a run from what was typed and from files."""

import json
import mimetypes
import sys
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

from app.client.misuse import Misuse

POSITIONAL = "task_arguments"  # the name under which a file is one more argument


def body_of(arguments: Sequence[str], json_file: str | None, files: Sequence[str]) -> bytes:
    """Return the JSON to send: arguments in their order, a file's content, or files by name. Raise Misuse."""
    if json_file is not None:
        if arguments or files:
            raise Misuse("--json is the whole body: no ARGUMENT and no --file beside it")
        return sys.stdin.buffer.read() if json_file == "-" else _content(json_file, "--json")
    named = [_data_url(file) for file in files]
    if all(name == POSITIONAL for name, _ in named):
        return json.dumps({POSITIONAL: [*arguments, *(url for _, url in named)]}).encode()
    if arguments or any(name == POSITIONAL for name, _ in named):
        raise Misuse(f"files with names are the fields of one argument; beside others: --file {POSITIONAL}=PATH")
    return json.dumps(dict(named)).encode()


def _data_url(file: str) -> tuple[str, str]:
    """Return the name, and the file as TheEye's agents take it: they write a `data:` URL to disk (RFC 2397)."""
    name, equals, path = file.partition("=")
    if not (name and equals and path):
        raise Misuse("a file is given as --file NAME=PATH")
    media_type = mimetypes.guess_type(path)[0] or "application/octet-stream"
    return name, f"data:{media_type};base64,{b64encode(_content(path, '--file')).decode()}"


def _content(path: str, option: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Misuse(f"the file of {option} cannot be read: {error.strerror}") from None
