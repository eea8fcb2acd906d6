"""The service's own messages, where the host has set up no log."""

import subprocess
import sys

from support.processes import CHECKOUT, clean_environment


def test_the_log_goes_to_standard_error_without_tokens() -> None:
    program = (
        "import logging, wsgi\n"
        "try: raise ValueError('access_token=tok-secret')\n"
        "except ValueError: logging.getLogger('theeye_sync.any').exception('Bearer tok-secret')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, env=clean_environment(), capture_output=True, text=True
    )
    assert ran.returncode == 0
    assert "[ERROR] Bearer ***" in ran.stderr
    assert "ValueError: access_token=***" in ran.stderr
    assert "tok-secret" not in ran.stderr
