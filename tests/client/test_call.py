"""Test connections that are cut: the client continues with the same job, and no task runs twice.

The first connection of a run asks what the service offers.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from support.command import HERE, NEVER, command, cutting, recorder
from support.processes import Service, free_port
from support.theeye import CloseAfter, Late, StandIn

from app.client import call
from app.client.offer import Offer, read_offer
from app.client.service import Service as Client

END = "\r\nConnection: close\r\n\r\n"
CUT_ID = "HTTP/1.1 200 X\r\nX-Job-State: success\r\nX-Job-Id: 61f42186c38"


@pytest.mark.parametrize(
    "marks",
    [
        (b"",),  # before a byte of the answer
        (b"event: job",),
        (b"event: lifecycle",),  # the job's id is known
        (b"event: lifecycle", b"", b""),  # and cut again, twice
        (b"event: answer",),
    ],
)
def test_a_cut_connection_takes_up_the_same_job(
    with_keys: Service, theeye_with_keys: StandIn, marks: tuple[bytes, ...]
) -> None:
    its_theeye = theeye_with_keys
    its_theeye.task(delay=None, output=["{}"])
    with cutting(with_keys.port, NEVER, *marks) as url, ThreadPoolExecutor() as pool:
        running = pool.submit(command, url, "run", HERE)
        its_theeye.wait_for_jobs(1)
        its_theeye.finish()
        ran = running.result(100)
    assert (ran.exit_code, ran.stdout) == (0, '["{}"]'), ran.stderr
    assert ran.stderr.count("asking again") == len(marks)
    assert len(its_theeye.calls_of("create")) == 1
    assert ran.stderr.count(f"job {HERE}/") == 1


def test_without_keys_a_cut_before_the_id_may_have_started(gunicorn: Service, its_theeye: StandIn) -> None:
    with cutting(gunicorn.port, NEVER, NEVER, b"") as url:  # the second connection brings the 501
        ran = command(url, "run", HERE)
    assert (ran.exit_code, ran.stdout) == (5, "")
    assert ran.stderr.endswith("the job may have started; look in TheEye before you run it again\n")
    assert len(its_theeye.calls_of("create")) == 1


def test_without_keys_a_cut_after_the_id_takes_up_the_job(gunicorn: Service, its_theeye: StandIn) -> None:
    with cutting(gunicorn.port, b"", NEVER, b"event: answer") as url:  # and what it offers is not known
        ran = command(url, "run", HERE)
    assert (ran.exit_code, ran.stdout) == (0, '["{\\"a\\":1}"]'), ran.stderr
    assert len(its_theeye.calls_of("create")) == 1


def test_a_501_after_a_cut_is_no_leave_to_go_without_a_key(gunicorn: Service, its_theeye: StandIn) -> None:
    """Another instance, which supports keys, may have received the first request."""
    with cutting(gunicorn.port, NEVER, b"") as url:
        ran = command(url, "run", HERE)
    assert ran.exit_code == 5
    assert "supports no keys" in ran.stderr
    assert ran.stderr.endswith("the job may have started; look in TheEye before you run it again\n")
    assert "nothing was started" not in ran.stderr
    assert its_theeye.calls_of("create") == []


def test_a_key_whose_create_was_lost_finds_no_job(with_keys: Service, theeye_with_keys: StandIn) -> None:
    theeye_with_keys.fault("create", CloseAfter())
    ran = command(with_keys.url, "run", HERE)
    assert (ran.exit_code, ran.stdout) == (5, "")
    assert ran.stderr.endswith("the job may have started; look in TheEye before you run it again\n")
    assert len(theeye_with_keys.calls_of("create")) == 1


def test_a_refusal_after_a_cut_does_not_say_what_became_of_the_first_request() -> None:
    with recorder(b"", b"", f'HTTP/1.1 403 X{END}{{"message":"no","code":""}}'.encode()) as (url, heads):
        ran = command(url, "run", HERE, "--key", "cli-4711")
    assert (ran.exit_code, len(heads)) == (4, 3)
    assert "may have started; the same command with --key cli-4711 gets" in ran.stderr


def test_a_job_that_is_gone_cannot_be_fetched_later(gunicorn: Service, its_theeye: StandIn) -> None:
    its_theeye.task(delay=None)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(command, gunicorn.url, "run", HERE)
        its_theeye.wait_for_jobs(1)
        its_theeye.forget()
        ran = running.result(100)
    assert (ran.exit_code, "EJOBGONE" in ran.stderr, "fetch its answer" in ran.stderr) == (5, True, False)


def test_a_key_of_the_callers_own_is_never_left_out(gunicorn: Service, its_theeye: StandIn) -> None:
    ran = command(gunicorn.url, "run", HERE, "--key", "cli-4711")
    assert (ran.exit_code, ran.stdout) == (5, "")
    assert "ENOKEYS" in ran.stderr
    assert its_theeye.calls_of("create") == []


def test_one_key_is_one_run_and_each_run_has_its_own(with_keys: Service, theeye_with_keys: StandIn) -> None:
    key = ("--key", "cli-4711")
    for options in ((), (), key, key, (*key, "--mode", "parse")):
        assert command(with_keys.url, "run", HERE, *options).exit_code == 0
    assert len(theeye_with_keys.calls_of("create")) == 3
    assert command(with_keys.url, "run", HERE, "another", *key).exit_code == 4


def test_a_service_that_is_not_there_has_started_nothing() -> None:
    ran = command(f"http://127.0.0.1:{free_port()}", "run", HERE)
    assert (ran.exit_code, ran.stdout) == (5, "")
    assert "refused" in ran.stderr
    assert ran.stderr.endswith("nothing was started\n")


@pytest.mark.parametrize(
    ("answer", "tries", "words", "may_have_started"),
    [
        *((f"HTTP/1.1 {status} X{END}<html>", 3, f"status {status}", True) for status in (500, 504, 524)),
        (f'HTTP/1.1 502 X{END}{{"message":"gone","code":"EOUTCOMEUNKNOWN"}}', 3, "EOUTCOMEUNKNOWN: gone", True),
        (f'HTTP/1.1 502 X{END}{{"message":"down","code":"EUNREACHABLE"}}', 0, "EUNREACHABLE: down", False),
        (f'HTTP/1.1 502 X{END}{{"message":"down","code":"EGATEWAY"}}', 1, "EGATEWAY: down", False),
        (f'HTTP/1.1 500 X{END}{{"message":"bug","code":"EINTERNAL"}}', 1, "EINTERNAL: bug", True),
        (f"HTTP/1.1 200 X{END}<html>", 1, "the answer is not from TheEye Sync", True),
        *((cut, 3, "within the answer's headers", True) for cut in (CUT_ID, f"{CUT_ID}\r\nContent-Length:")),
        (f"HTTP/1.1 301 X\r\nLocation: http://127.0.0.1:1/{END}moved", 1, "the answer is not from TheEye Sync", False),
        (f"HTTP/1.1 501 X{END}<html>", 1, "the answer is not from TheEye Sync", False),
    ],
)
def test_an_answer_of_another_server_or_about_no_job(
    answer: str, tries: int, words: str, may_have_started: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer by which deploy/nginx.conf or another proxy reports a lost service counts as a cut."""
    monkeypatch.setattr(call, "PAUSES", (0, 0))
    with recorder(answer.encode()) as (url, heads):
        ran = command(url, "run", HERE)
    assert (ran.exit_code, ran.stdout, len(heads) - 1) == (5, "", tries), ran.stderr
    assert words in ran.stderr
    assert ("may have started" if may_have_started else "nothing was started") in ran.stderr
    assert ("nothing was started" if may_have_started else "may have started") not in ran.stderr
    keys = {line for head in heads for line in head.split(b"\r\n") if b"Idempotency-Key" in line}
    assert len(keys) == min(tries, 1)


def test_a_service_may_be_silent_while_it_queues_a_run(
    gunicorn: Service, its_theeye: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "SILENT_SECONDS", 0.1)  # beyond its own wait
    its_theeye.fault("create", Late(1.0))
    ran = command(gunicorn.url, "run", HERE)
    assert (ran.exit_code, ran.stderr.count("taking it up again")) == (0, 0), ran.stderr


def test_what_a_service_offers(make_app: Callable[..., Flask]) -> None:
    document = make_app(wait_seconds=300, disabled_formatters=("full",)).test_client().get("/openapi.json")
    answer = f"HTTP/1.1 200 X\r\nContent-Length: {len(document.data)}{END}".encode() + document.data
    with recorder(answer) as (url, _):
        assert read_offer(Client(url, "tok")) == Offer(frozenset({"parse", "response", "result"}), 300.0)
