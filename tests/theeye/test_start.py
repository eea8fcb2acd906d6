"""Test what stops the start: a proxy or certificates that cannot be used, in one line, without a password."""

from contextlib import closing
from pathlib import Path

import pytest
from support.processes import Service, run_python

WRONG = {
    "a proxy of another kind": (
        {"HTTPS_PROXY": "socks5://ada:hunter2@proxy.example:1080", "SYNC_GATEWAY_URL": "https://theeye.example"},
        "theeye-sync: HTTPS_PROXY must be an http:// URL",
    ),
    "no bundle": ({"REQUESTS_CA_BUNDLE": "/nothing.pem"}, "theeye-sync: REQUESTS_CA_BUNDLE names /nothing.pem"),
}


@pytest.mark.parametrize("worker", ["gevent", "gthread"])
@pytest.mark.parametrize(("variables", "words"), WRONG.values(), ids=WRONG.keys())
def test_gunicorn_ends_with_one_line(worker: str, variables: dict[str, str], words: str) -> None:
    with closing(Service({"SYNC_WORKERS": "1"} | variables, worker)) as process:
        process.launch_only()
        assert process.wait(30) == 3, "gunicorn's status for a worker that does not boot"
        log = process.log_text()
    assert words in log
    assert "hunter2" not in log
    assert "Traceback" not in log
    assert log.count("Booting worker") == 1, "and is not started again and again"


def test_a_bad_client_certificate_stops_gunicorn_before_it_listens(tmp_path: Path) -> None:
    ran = run_python("-m", "gunicorn", status=1, SYNC_CLIENT_CERT=str(tmp_path / "nothing.pem"))
    assert ran.stderr == "theeye-sync: SYNC_CLIENT_CERT cannot be read: No such file or directory\n"


def test_gunicorns_master_does_not_import_requests() -> None:
    """If it was imported before gevent patches ssl, it would break TLS for code that uses requests in a worker."""
    run_python("-c", "import runpy, sys; runpy.run_path('gunicorn.conf.py'); assert 'urllib3' not in sys.modules")
