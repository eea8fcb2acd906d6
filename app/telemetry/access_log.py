"""The form of a log line, text or JSON: nothing that a client sends can end a line, or hold a token."""

import re
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii
from time import gmtime, strftime
from typing import Any
from urllib.parse import quote, unquote

from app.telemetry.trace import Trace, tokens, without

LONGEST = 200  # characters of one field

_VISIBLE = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")
_PLAIN = re.compile(r"[\x21-\x24\x26-\x7e]*").fullmatch
quoted = encode_basestring_ascii  # JSON strings, in visible ASCII only

_second: tuple[int, str] = (0, "")


def moment(now: float) -> str:
    """ISO 8601 in UTC, with milliseconds."""
    global _second
    whole = int(now)
    known, text = _second
    if known != whole:
        text = strftime("%Y-%m-%dT%H:%M:%S", gmtime(whole))
        _second = (whole, text)
    return f"{text}.{int((now - whole) * 1000):03d}Z"


def level(trace: Trace) -> str:
    """What fails through no fault of the job or the client is worth a look."""
    if trace.status < 500 or trace.by == "job":
        return "INFO"
    return "ERROR" if trace.code == "EINTERNAL" else "WARNING"


class Fields:
    """A request's own words, cut short and without its tokens."""

    __slots__ = ("customer", "job", "method", "path", "task")

    def __init__(self, trace: Trace, environ: Mapping[str, Any]) -> None:
        """Read from the request as it came."""
        secrets = tokens(environ) if trace.secrets is None else trace.secrets
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        if not path.isascii():
            path = path.encode("latin-1", "replace").decode("utf-8", "replace")
        self.path = _safe(path, secrets)
        self.method = _safe(environ.get("REQUEST_METHOD", ""), secrets)
        self.customer = _safe(trace.customer, secrets)
        self.task = _safe(trace.task, secrets)
        self.job = _safe(trace.job, secrets)


def text_line(trace: Trace, environ: Mapping[str, Any], now: float, total: float) -> str:
    """For people: what matters first, the rest as `name=value` where there is one."""
    said = Fields(trace, environ)
    line = (
        f"{moment(now)} {level(trace):7} {trace.status} {_visible(said.method):6} {total:8.4f}s {_visible(said.path)}"
    )
    if said.customer:
        line += f" customer={_visible(said.customer)} task={_visible(said.task)}"
    if said.job:
        line += f" job={_visible(said.job)}"
    if trace.mode:
        line += f" mode={_visible(trace.mode)}"
    line += f" by={trace.by}"
    if trace.code:
        line += f" code={_visible(trace.code)}"
    for name in ("session", "queue", "create", "wait", "read", "format"):
        if seconds := getattr(trace, name):
            line += f" {name}={seconds:.4f}"
    return f"{line} client={_visible(environ.get('REMOTE_ADDR') or '-')} request_id={trace.request_id}\n"


def json_line(trace: Trace, environ: Mapping[str, Any], now: float, total: float) -> str:
    """For machines: always the same names, `null` where there is nothing to tell."""
    said = Fields(trace, environ)
    return (
        f'{{"time":"{moment(now)}","level":"{level(trace)}","request_id":"{trace.request_id}",'
        f'"method":{quoted(said.method)},"path":{quoted(said.path)},"customer":{_word(said.customer)},'
        f'"task":{_word(said.task)},"job":{_word(said.job)},"mode":{_word(trace.mode)},'
        f'"status":{trace.status},"by":"{trace.by}","code":{_word(trace.code)},'
        f'"session":{_seconds(trace.session)},"queue":{_seconds(trace.queue)},"create":{_seconds(trace.create)},'
        f'"wait":{_seconds(trace.wait)},"read":{_seconds(trace.read)},"format":{_seconds(trace.format)},'
        f'"total":{total:.4f},"client":{_word(environ.get("REMOTE_ADDR") or "")}}}\n'
    )


def _safe(text: str, secrets: tuple[str, ...]) -> str:
    """Without the secrets, also where they were encoded more than once, and then cut short."""
    for secret in secrets:
        if secret in text:
            text = without(secrets, text)
    if "%" in text:
        decoded = unquote(unquote(text))
        if without(secrets, decoded) != decoded:
            return "***"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _visible(text: str) -> str:
    return text if _PLAIN(text) else quote(text, safe=_VISIBLE, errors="replace")


def _word(text: str) -> str:
    return quoted(text) if text else "null"


def _seconds(seconds: float) -> str:
    return f"{seconds:.4f}" if seconds else "null"
