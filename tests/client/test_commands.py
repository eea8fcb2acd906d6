"""Test the client's commands against a real service: their output, and their exit statuses."""

import json
from typing import Any

import pytest
from support.command import HERE, command
from support.pages import read
from support.processes import Service, run_python
from support.theeye import TASK, Reply, StandIn
from support.workflows import SECOND, WORKFLOW

from app.cli import main

FAILED = {"state": "failure", "output": ['{"a":1}'], "result": {"log": "one\n\x1b[2Jtwo\n", "code": 7, "lastline": ""}}


@pytest.mark.parametrize(
    ("arguments", "task", "status", "stdout", "stderr"),
    [
        ((), {}, 0, b'["{}"]', ""),
        (("--mode", "parse"), {}, 0, b"{}", ""),
        (("--mode", "output"), {}, 0, b'["{}"]', ""),
        (("--mode", "response"), {"output": ['{"body":"/wA=","isBase64Encoded":true}']}, 0, b"\xff\0", ""),
        (("--mode", "parse"), {"output": ['{"statusCode":404}']}, 1, b'{"statusCode":404}', "success, status 404"),
        (("--mode", "parse"), FAILED | {"output": ['{"statusCode":201}']}, 1, b'{"statusCode":201}', "status 201"),
        ((), FAILED, 1, b'["{\\"a\\":1}"]', "status 500, exit code 7\nthe end of its log:\none\n\\x1b[2Jtwo\n"),
        ((), {"state": "canceled", "lifecycle": "canceled"}, 1, b'["{}"]', "ended as canceled"),
        (("--wait", "1e30"), {}, 0, b'["{}"]', ""),
        (("--mode", "response"), {}, 5, b"", "EFORMATTER"),
        (("--wait", "0"), {"delay": None}, 3, b"", "ETIMEISUP"),
    ],
)  # fmt: skip
def test_a_run(
    gunicorn: Service,
    its_theeye: StandIn,
    arguments: tuple[str, ...],
    task: dict[str, Any],
    status: int,
    stdout: bytes,
    stderr: str,
) -> None:
    its_theeye.task(**{"output": ["{}"], **task})
    ran = command(gunicorn.url, "run", HERE, *arguments)
    [job] = its_theeye.jobs
    assert (ran.exit_code, ran.stdout_bytes) == (status, stdout), ran.stderr
    assert stderr in ran.stderr
    assert ran.stderr.startswith(f"job {HERE}/{job}\n"), "and no job is started without its id being told"
    assert "tok-acme" not in ran.output
    if status in (3, 5):
        assert f"theeye-sync result {HERE}/{job}" in ran.stderr


@pytest.mark.parametrize(
    ("target", "token", "fault", "status", "words"),
    [
        (HERE, "tok-nobody", None, 4, "Unauthorized\n"),
        (f"beta/{TASK}", "tok-acme", None, 4, "EORACC: "),
        (HERE, "tok-acme", ("create", Reply(400, {"message": "three are needed"})), 4, "three are needed"),
        (HERE, "tok-acme", ("create", Reply(500, {"message": "boom"})), 5, "may have started"),
        (HERE, "tok-other", ("profile", Reply(500, {})), 5, "EGATEWAY: "),
    ],
)
def test_a_run_that_starts_nothing(
    gunicorn: Service, its_theeye: StandIn, target: str, token: str, fault: Any, status: int, words: str
) -> None:
    if fault is not None:
        its_theeye.fault(*fault)
    ran = command(gunicorn.url, "run", target, SYNC_TOKEN=token)
    assert (ran.exit_code, ran.stdout) == (status, "")
    assert words in ran.stderr


def test_a_run_that_is_not_waited_for(gunicorn: Service, its_theeye: StandIn) -> None:
    its_theeye.task(delay=None, output=["{}"])
    started = command(gunicorn.url, "run", HERE, "--async")
    [job] = its_theeye.jobs
    assert (started.exit_code, started.stdout) == (0, f"{HERE}/{job}\n")
    late = command(gunicorn.url, "result", f"{HERE}/{job}", "--wait", "0.01")
    assert (late.exit_code, late.stdout) == (3, "")
    its_theeye.finish()
    found = command(gunicorn.url, "result", f"{HERE}/{job}", "--mode", "parse")
    assert (found.exit_code, found.stdout) == (0, "{}")
    assert command(gunicorn.url, "result", f"{HERE}/{'0' * 24}").exit_code == 4
    assert len(its_theeye.calls_of("create")) == 1


def test_a_job_is_cancelled(gunicorn: Service, its_theeye: StandIn) -> None:
    its_theeye.task(delay=None)
    job = command(gunicorn.url, "run", HERE, "--async").stdout.strip()
    cancelled = command(gunicorn.url, "cancel", job)
    assert (cancelled.exit_code, cancelled.stdout, cancelled.stderr) == (0, "", "cancelled\n")
    again = command(gunicorn.url, "cancel", job)
    assert (again.exit_code, again.stderr) == (4, "EJOBENDED: The job had already ended\n")


def test_the_tasks_are_listed(gunicorn: Service, its_theeye: StandIn) -> None:
    arguments = [{"label": "a\x1b[2J", "required": True}, {"label": "b"}, {"label": "c", "type": "fixed"}]
    its_theeye.fault(
        "tasks", Reply(200, [{"id": TASK, "name": "Or\nders", "type": "script", "task_arguments": arguments}])
    )
    shown = command(gunicorn.url, "tasks", "acme")
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert shown.stdout.splitlines()[1].split("  ")[1:] == ["Or ders", "a\\x1b[2J, [b], (c)"]
    assert json.loads(command(gunicorn.url, "tasks", "acme", "--json").stdout)[0]["id"] == TASK
    refused = command(gunicorn.url, "tasks", "beta")
    assert (refused.exit_code, refused.stdout, refused.stderr) == (4, "", "EORACC: Forbidden\n")


def test_a_workflow_is_run_cancelled_and_listed(gunicorn: Service, its_theeye: StandIn) -> None:
    its_theeye.task(SECOND, delay=None, output=["{}"], name="Second")
    its_theeye.workflow(name="Two")
    here = f"acme/workflow/{WORKFLOW}"
    listed = command(gunicorn.url, "workflows", "acme").stdout.splitlines()
    assert [line.split() for line in listed[1:]] == [[WORKFLOW, "Two", "-"]]
    job = command(gunicorn.url, "run", here, "x", "--async").stdout.strip()
    assert job.rpartition("/")[0] == here
    its_theeye.finish(its_theeye.wait_for_steps(job.rpartition("/")[2], 2)[1]["id"])
    found = command(gunicorn.url, "result", job, "--mode", "parse")
    assert (found.exit_code, found.stdout) == (0, "{}")
    again = command(gunicorn.url, "run", here, "x", "--async").stdout.strip()
    its_theeye.wait_for_steps(again.rpartition("/")[2], 2)
    assert command(gunicorn.url, "cancel", again, SYNC_TOKEN="tok-admin").exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        *(["run", target] for target in ("acme", "acme/", "/x", "acme/x/y", "acme/..", "./x", "acme/x\n")),
        *(["run", target] for target in ("acme/workflow", "acme/workflow/", "acme/workflow/x/y", "acme/flow/x")),
        *(["result", target] for target in ("acme/x", "acme/x/", "acme/x/..", "acme/workflow/x", "acme/task/x")),
        *([kind, target] for kind in ("tasks", "workflows") for target in ("", "..", "acme/x", "a\n", "\udcff")),
        *(["run", HERE, "--wait", wait] for wait in ("-1", "nan", "inf", "soon")),
        *(["run", HERE, "--mode", mode] for mode in ("parse=x", "parse=01", "a&b", "access_token=tok-secret", "a b")),
        *(["run", HERE, "--key", key] for key in ("", "a b", "é", "a\r\nX: y", "k" * 256)),
        *(["run", HERE, "--file", file] for file in ("x", "=x", "x=", "x=/no/such/file")),
        *(["run", HERE, *typed] for typed in (["\udcff"], ["--file", "\udcff=/dev/null"])),
        ["run", HERE, "--json", "/no/such/file"],
        ["run", HERE, "1", "--json", "-"],
        ["run", HERE, "1", "--file", "x=/etc/hostname"],
        ["run", HERE, "--token", "-", "--json", "-"],
        ["run", HERE, "--token", "tok-secret"],
        ["run", HERE, "--token-file", "tok-secret"],
        ["run", HERE, "--tok-secret"],
        ["run"],
    ],
)  # fmt: skip
def test_a_misuse_is_told_before_anything_is_sent(arguments: list[str]) -> None:
    ran = command("http://127.0.0.1:1", *arguments)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "\nError: " in ran.stderr
    assert "tok-secret" not in ran.stderr


@pytest.mark.parametrize("mode", ["prase", "PARSE", "parse_=1", "wait", "strict", "output=1"])
@pytest.mark.parametrize("name", ["run", "result"])
def test_a_mode_that_the_service_does_not_have(gunicorn: Service, its_theeye: StandIn, name: str, mode: str) -> None:
    ran = command(gunicorn.url, name, HERE if name == "run" else f"{HERE}/{'0' * 24}", "--mode", mode)
    assert (ran.exit_code, ran.stdout, its_theeye.calls) == (2, "", [])
    assert ran.stderr.endswith("nothing was started; it has full, output, parse, response, result\n")


@pytest.mark.parametrize(
    ("words", "cword", "found"), [("theeye-sync ru", 1, "run"), ("theeye-sync run --as", 2, "--async")]
)
def test_a_shell_completes_them(words: str, cword: int, found: str) -> None:
    environ = {"_THEEYE_SYNC_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(cword)}
    program = "import sys; sys.argv[0] = 'theeye-sync'; from app.cli import main; main(prog_name='theeye-sync')"
    assert run_python("-c", program, status=0, **environ).stdout == f"plain,{found}\n"


@pytest.mark.parametrize("name", ["run", "result", "cancel", "tasks"])
def test_the_page_explains_each_option(name: str) -> None:
    options = [option for parameter in main.commands[name].params for option in parameter.opts if option[0] == "-"]
    assert options
    for option in options:
        assert f"`{option}" in read("docs/cli.md"), option


def test_no_lock_is_made_at_import() -> None:
    run_python("-c", "import sys, app.cli; assert not {'requests', 'rich', 'flask'} & sys.modules.keys()")
