"""Test that `flask run`, Flask's own server, logs no token."""

import sys

import requests
from support.processes import CHECKOUT, Process, clean_environment, free_port, wait_until
from support.settings import environment
from support.theeye import JOB, StandIn


def test_flasks_own_server_logs_no_token(theeye: StandIn) -> None:
    process, port = Process(), free_port()
    environ = clean_environment() | environment(theeye)
    try:
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "run", "--port", str(port)]
        process.launch(command, cwd=CHECKOUT, env=environ)
        wait_until(lambda: "Running on" in process.log_text(), 60, "flask run")
        url = f"http://127.0.0.1:{port}{JOB}?access_token=tok-acme&wait=1"
        assert requests.post(url, timeout=30).status_code == 200
        wait_until(lambda: "POST" in process.log_text(), 20, "the request's line")
        log = process.log_text()
    finally:
        process.kill()
        process.close()
    assert "access_token=***&wait=1" in log
    assert "tok-acme" not in log
