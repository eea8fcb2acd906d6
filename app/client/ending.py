"""Carry out a call: write the answer to standard output, and everything else to standard error."""

import json
import os
import shlex
import sys
from collections.abc import Callable

import click

from app.client.call import Call, Shown
from app.client.outcome import GONE, UNKNOWN, Answer, Exit
from app.client.screen import screen
from app.client.service import Cut
from app.client.streams import is_terminal, say, write
from app.settings import CLIENT_URL

LOG_LINES = 20  # shown of a failed job's log


def carry_out(call: Call, follow: Callable[[Shown], Answer], finish: Callable[[Call, Answer], Exit]) -> Exit:
    """Show the progress of a call, finish it, and return the exit status, also after a cut or Ctrl-C."""
    try:
        with screen() as shown:
            answer = follow(shown)
    except Cut as cut:
        say(str(cut))
        say(_whereabouts(call, may_have_started=call.was_sent))
        return Exit.SERVICE_FAILED
    except KeyboardInterrupt:
        return _interrupted(call)
    return finish(call, answer)


def write_answer(call: Call, answer: Answer) -> Exit:
    """Write the job's answer and the end of a failed job's log, or the service's error."""
    if answer.error is not None:
        return tell_error(call, answer)
    if wrong := write(answer.body):
        return _tell_unwritten(call, wrong)
    if is_terminal(sys.stdout) and not answer.body.endswith(b"\n"):
        say("")  # on standard error, so that the shell's prompt begins a line and the answer is unchanged
    if answer.exit is Exit.JOB_FAILED:
        _tell_failure(call, answer)
    return answer.exit


def write_job(call: Call, answer: Answer) -> Exit:
    """Write the name of a job that was started without waiting for it."""
    if not call.target.job or (answer.error is not None and answer.status != 202):
        return tell_error(call, answer)
    wrong = write(f"{call.target}\n".encode())
    return _tell_unwritten(call, wrong) if wrong else Exit.SUCCESS


def tell_cancel(call: Call, answer: Answer) -> Exit:
    """Write whether the job was cancelled."""
    if answer.status == 204:
        say("cancelled")
        return Exit.SUCCESS
    return tell_error(call, answer)


def tell_error(call: Call, answer: Answer) -> Exit:
    """Write the service's own error, and what is known of the job."""
    say(answer.words)
    may_have_started = call.was_sent or answer.may_have_started
    if answer.code == UNKNOWN:  # for each request with the key, too
        call.key = ""
    if answer.exit is Exit.REFUSED:  # but an earlier request of this run may have been accepted
        tells_job = call.was_sent and not call.target.job
    else:
        tells_job = answer.code != GONE and bool(call.target.job or may_have_started or not answer.tells_start)
    if tells_job:
        say(_whereabouts(call, may_have_started, mode="" if answer.code == "EFORMATTER" else call.mode))
    return answer.exit


def _tell_unwritten(call: Call, wrong: str) -> Exit:
    say(f"the answer cannot be written: {wrong}")
    say(_whereabouts(call, may_have_started=True))
    return Exit.SERVICE_FAILED


def _whereabouts(call: Call, may_have_started: bool, mode: str | None = None) -> str:
    """Return what is known of the job, and how to fetch its answer."""
    if call.target.job:
        mode = call.mode if mode is None else mode
        url = "" if os.environ.get(CLIENT_URL) == call.service.url else call.service.url
        options = [*(["--mode", mode] if mode else []), *(["--url", url] if url else [])]
        command = shlex.join(["theeye-sync", "result", str(call.target), *options])
        return f"the job is {call.target}; fetch its answer later: {command}"
    if not may_have_started:
        return "nothing was started"
    if call.key:
        return f"the job may have started; the same command with --key {call.key} gets its answer, and starts no other"
    return "the job may have started; look in TheEye before you run it again"


def _interrupted(call: Call) -> Exit:
    """On a terminal ask once whether to cancel the job; in a script let it run."""
    if call.target.job and is_terminal(sys.stdin) and is_terminal(sys.stderr):
        try:
            if click.confirm("Cancel the job?", err=True) and tell_cancel(call, call.cancel()) is Exit.SUCCESS:
                return Exit.INTERRUPTED
        except (click.Abort, KeyboardInterrupt):
            say("")
        except Cut as cut:
            say(f"the job may still run: {cut}")
    say(_whereabouts(call, may_have_started=call.was_begun))
    return Exit.INTERRUPTED


def _tell_failure(call: Call, answer: Answer) -> None:
    """Write the job's state, exit code and the end of its log; the mode `result` has the log."""
    state, code = answer.headers.get("x-job-state"), answer.headers.get("x-job-exit-code")
    say(f"the job ended as {state}, status {answer.status}" + (f", exit code {code}" if code else ""))
    if call.mode == "result":
        return
    try:
        reported = json.loads(call.fetch("result&wait=0").body)
    except (Cut, ValueError) as error:
        say(f"its log cannot be read: {error}")
        return
    log = reported.get("log") if isinstance(reported, dict) else None
    if isinstance(log, str) and log.strip():
        say("the end of its log:\n" + "\n".join(log.rstrip().splitlines()[-LOG_LINES:]))
