"""Test the service's own messages, on a host without logging."""

import io
import logging

import pytest
from support.processes import run_python

from app.telemetry.messages import set_up


def test_the_log_goes_to_standard_error_without_tokens() -> None:
    program = (
        "import logging, wsgi\n"
        "try: raise ValueError('access_token=tok-secret')\n"
        "except ValueError: logging.getLogger('theeye_sync.any').exception('Bearer tok-secret')\n"
    )
    ran = run_python("-c", program)
    assert "[ERROR] Bearer ***" in ran.stderr
    assert "ValueError: access_token=***" in ran.stderr
    assert "tok-secret" not in ran.stderr


@pytest.mark.parametrize("name", ["werkzeug", "gunicorn.error", "gunicorn.access"])
def test_a_servers_own_messages_are_redacted(name: str) -> None:
    """This includes gunicorn without app/serving/config.py, and so with its own logger."""
    set_up("text")
    stream, log = io.StringIO(), logging.getLogger(name)
    handler = logging.StreamHandler(stream)
    log.addHandler(handler)
    try:
        log.warning("GET %(path)s", {"path": "/x?access_token=s3cr3t"})
    finally:
        log.removeHandler(handler)
    assert stream.getvalue() == "GET /x?access_token=***\n"
