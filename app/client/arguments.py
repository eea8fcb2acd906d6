"""Make the body of a run from typed arguments and files."""

import json
import math
import mimetypes
import re
from base64 import b64encode
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path

from app.client.misuse import Misuse
from app.client.streams import stdin

POSITIONAL = "task_arguments"  # with this name a file is an argument of its own
_POSITION = re.compile(rf"{POSITIONAL}(?:\[\]|\[([0-9]{{1,3}})\])?")


def body_of(arguments: Sequence[str], json_file: str | None, files: Sequence[str]) -> bytes:
    """Return the JSON to send: the arguments in order, the content of a file, or files by name. Raise Misuse."""
    if json_file is not None:
        if arguments or files:
            raise Misuse("--json is the whole body: no ARGUMENT and no --file beside it")
        return stdin().read() if json_file == "-" else _content(json_file, "--json")
    _check_texts([*arguments, *(file.partition("=")[0] for file in files)])
    named = [_data_url(file) for file in files]
    values = [(position, url) for name, url in named if (position := _position(name)) is not None]
    if not named or len(values) == len(named):
        return json.dumps({POSITIONAL: _with_files(arguments, values)}).encode()
    if arguments or values:
        raise Misuse(f"named files are fields of one argument, the only one; for several use --file {POSITIONAL}=PATH")
    return json.dumps(_fields(named)).encode()


def _check_texts(typed: Sequence[str]) -> None:
    """Raise Misuse for bytes that are no text: Python decodes them to surrogates, and the task would get those."""
    try:
        "".join(typed).encode()
    except UnicodeEncodeError:
        raise Misuse("an argument or a name of a file is not text: send other bytes as the content of a file") from None


def _position(name: str) -> float | None:
    """Return a file's position among the arguments (infinite for the end), or None if its name is no position.

    A name with an index, `task_arguments[2]`, is written as in a form.
    """
    found = _POSITION.fullmatch(name)
    return None if found is None else float(found[1] or math.inf)


def _with_files(arguments: Sequence[str], files: Sequence[tuple[float, str]]) -> list[str]:
    values = list(arguments)
    for position, url in sorted(files, key=itemgetter(0)):
        values.insert(int(min(position, len(values))), url)
    return values


def _fields(named: Sequence[tuple[str, str]]) -> dict[str, str | list[str]]:
    """Return the files by name; several files with one name are an array, as in a form."""
    names = dict.fromkeys(name for name, _ in named)
    fields = {name: [url for known, url in named if known == name] for name in names}
    return {name: urls if len(urls) > 1 else urls[0] for name, urls in fields.items()}


def _data_url(file: str) -> tuple[str, str]:
    """Return the name, and the file as a `data:` URL (RFC 2397), which TheEye's agents write to disk."""
    name, equals, path = file.partition("=")
    if not (name and equals and path):
        raise Misuse("write a file as --file NAME=PATH")
    media_type = mimetypes.guess_type(path)[0] or "application/octet-stream"
    return name, f"data:{media_type};base64,{b64encode(_content(path, '--file')).decode()}"


def _content(path: str, option: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Misuse(f"the file of {option} cannot be read: {error.strerror}") from None
