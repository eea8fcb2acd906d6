"""Make the command line of a job from its interpreter, its script and its arguments."""

import base64
import binascii
import mimetypes
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from sandbox.jsontext import dumps

_DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[^;,]*)*;base64,", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"\w+=")
_SURROGATE = re.compile("[\ud800-\udfff]")


def command_line(runas: str, script: Path, arguments: list[str]) -> str:
    """Replace `%script%` by the script's path and its shell-escaped arguments."""
    call = " ".join(shlex.quote(part) for part in [str(script), *arguments])
    return runas.replace("%script%", call, 1) if "%script%" in runas else call


def argument_text(value: Any, folder: Path) -> str:
    """Return an argument as text for the script; write a `data:` URL in base64 to a file in the folder."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else dumps(value)
    written = _write_data_url(text, folder)
    return str(written) if written else _SURROGATE.sub("\ufffd", text)


def environment(extra: dict[str, str]) -> dict[str, str]:
    """Return this process's environment and the task's; PATH always has a `python3`."""
    machine = dict(os.environ)
    path = os.pathsep.join(filter(None, [str(Path(sys.executable).parent), machine.get("PATH", os.defpath)]))
    return {**machine, "PATH": path, **extra}


def missing_interpreter(runas: str, env: dict[str, str]) -> str | None:
    """Return the program that `script_runas` starts if it is not installed, else None."""
    word = _program(runas)
    if word is None or "%script%" in word or shutil.which(word, path=env.get("PATH")):
        return None
    # `cd x && …` is a legal script_runas: ask the shell about its built-in commands.
    known = subprocess.run(
        ["/bin/sh", "-c", 'command -v -- "$1"', "sh", word],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return None if known.returncode == 0 else word


def _program(runas: str) -> str | None:
    try:
        words = shlex.split(runas)
    except ValueError:
        return None
    rest = [word for word in words if not _ASSIGNMENT.match(word) and word not in ("env", "/usr/bin/env")]
    return rest[0] if rest else None


def _write_data_url(text: str, folder: Path) -> Path | None:
    found = _DATA_URL.match(text)
    if found is None:
        return None
    try:
        data = base64.b64decode(text[found.end() :], validate=True)
    except (binascii.Error, ValueError):
        return None
    path = folder / f"{secrets.token_hex(8)}{mimetypes.guess_extension(found['type'] or '') or ''}"
    path.write_bytes(data)
    return path
