"""Make the log line of a request, as text or JSON. Nothing that a client sends can break the line or show a token."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from app.telemetry.text import iso_time, percent_encode
from app.telemetry.tokens import cut_path, has_no_name, mask
from app.telemetry.trace import Trace
from app.telemetry.wsgi import wsgi_text

LONGEST = 200  # characters of a field; the rest is cut
DURATIONS = ("session", "queue", "create", "wait", "read", "format")


def text_line(trace: Trace, now: float, total: float) -> str:
    """Return the line as text: time, level, status, method, duration, path, then `name=value` for each other field."""
    fields = request_fields(trace, now, total)
    method, path = percent_encode(fields["method"]), percent_encode(fields["path"])
    line = f"{fields['time']} {fields['level']:7} {fields['status']} {method:6} {total:8.4f}s {path}"
    for name in ("customer", "user", "task", "workflow", "job", "mode", "by", "code"):
        if fields[name] is not None:
            line += f" {name}={percent_encode(fields[name])}"
    for name in DURATIONS:
        if fields[name] is not None:
            line += f" {name}={fields[name]:.4f}"
    return f"{line} client={percent_encode(fields['client'] or '-')} request_id={trace.request_id}\n"


def json_line(trace: Trace, now: float, total: float) -> str:
    """Return the line as JSON: always the same names, `null` for a field that does not apply."""
    # python-json-logger, which writes the messages, needs a logging record: making one takes 1.7 times as long.
    fields = request_fields(trace, now, total)
    return json.dumps({name: round(it, 4) if isinstance(it, float) else it for name, it in fields.items()}) + "\n"


def request_fields(trace: Trace, now: float, total: float) -> dict[str, Any]:
    """Return the fields of both forms, in order; `now` in seconds since the epoch, `total` in seconds."""
    environ = trace.environ
    method, path, client = environ.get("REQUEST_METHOD", ""), _path(environ), environ.get("REMOTE_ADDR") or ""
    texts = method, path, trace.customer, trace.user, trace.task, trace.workflow, trace.job, client
    method, path, customer, user, task, workflow, job, client = _all_safe(texts, trace.all_secrets)
    fields: dict[str, Any] = {
        "time": iso_time(now),
        "level": _level(trace),
        "request_id": trace.request_id,
        "method": method,
        "path": path,
        "customer": customer or None,
        "user": user or None,
        "task": task or None,
        "workflow": workflow or None,
        "job": job or None,
        "mode": trace.mode or None,
        "status": trace.status,
        "by": trace.by,
        "code": trace.code or None,
    }
    for name in DURATIONS:
        fields[name] = getattr(trace, name) or None
    fields["total"] = total
    fields["client"] = client or None
    return fields


def _level(trace: Trace) -> str:
    """Return WARNING or ERROR for a failure of this service or of TheEye, else INFO."""
    if trace.status < 500 or trace.by == "job" or not trace.is_failure:
        return "INFO"
    return "ERROR" if trace.code == "EINTERNAL" else "WARNING"


def _path(environ: Mapping[str, Any]) -> str:
    """Return the decoded path of the request."""
    return wsgi_text(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""))


def _all_safe(texts: tuple[str, ...], secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Return the texts without tokens, each as `_safe` does; most requests are checked with all texts together."""
    together = " ".join(texts)
    if len(together) <= LONGEST and has_no_name(together) and mask(secrets, together) == together:
        return texts
    return tuple(_safe(text, secrets) for text in texts)


def _safe(text: str, secrets: tuple[str, ...]) -> str:
    """Mask the secrets, also percent-encoded once or twice, and any text after a token's name."""
    text = mask(secrets, cut_path(text))
    if "%" in text:
        decoded = unquote(unquote(text))
        if mask(secrets, decoded) != decoded:
            return "***"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
