"""The service's own messages, where the host has set up no log."""

from support.processes import run_python


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
