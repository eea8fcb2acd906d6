"""A formatter's answer as a response: whatever a formatter does, a legal answer leaves the service."""

import logging
import re

from flask import Response

from app import http
from app.errors import FormatterFailed
from formatters import Answer, Context, Formatter
from formatters.contract import JSON_TYPE
from formatters.jsontext import dumps

log = logging.getLogger("theeye_sync.formatters")

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def render(formatter: Formatter, context: Context, headers: http.Headers) -> Response:
    """The formatter's answer under the common headers. Raises FormatterFailed."""
    try:
        answer = formatter.format(context)
        own = [(_legal(_NAME, name), _legal(_VALUE, value)) for name, value in answer.headers.items()]
        return http.response(_status(answer), _body(answer), answer.content_type or JSON_TYPE, [*headers, *own])
    except Exception as error:
        log.exception("formatter %s failed on job %s", formatter.name, context.job.get("id"))
        raise FormatterFailed(f"The formatter {formatter.name!r} failed: {type(error).__name__}") from None


def _status(answer: Answer) -> int:
    if not isinstance(answer.status, int) or not 200 <= answer.status <= 599:
        raise ValueError(f"{answer.status!r} is no status that a response can have")
    return int(answer.status)


def _body(answer: Answer) -> bytes:
    if answer.content_type is None:
        return dumps(answer.body)
    _legal(_VALUE, answer.content_type)
    if isinstance(answer.body, str):
        return answer.body.encode()
    if not isinstance(answer.body, bytes):
        raise TypeError("a body with a content type must be text or bytes")
    return answer.body


def _legal(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"{text!r} cannot stand in a header")
    return text
