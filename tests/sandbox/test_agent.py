"""Test the sandbox's agent: real scripts in real processes, and restarts."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.sandbox import ID, IN_PROGRESS, SLEEPER, Client, eventually, recipe

from sandbox import Sandbox, StoreError
from sandbox.script import Script

Start = Callable[[], Client]
Run = Callable[..., Any]


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    folder = tmp_path / "tasks"
    folder.mkdir()
    return folder


@pytest.fixture
def start(tmp_path: Path, tasks: Path) -> Iterator[Start]:
    """Start a sandbox with the recipes written so far; a second call is a restart."""
    with ExitStack() as stack:

        def start() -> Client:
            stack.close()
            sandbox = stack.enter_context(Sandbox(database=tmp_path / "theeye.sqlite3", tasks=[tasks]))
            return stack.enter_context(Client(sandbox.url))

        yield start


@pytest.fixture
def run(start: Start, tasks: Path) -> Run:
    """Run a script in a new sandbox with these values; return its job when it has ended."""

    def run(script: str, *values: Any, runas: str = "sh %script%", **task: Any) -> Any:
        recipe(tasks, ID, script, runas, takes_any_arguments=True, **task)
        return start().run(ID, *values)

    return run


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def written_number(path: Path) -> int:
    return int(eventually(lambda: path.exists() and path.read_text().strip()))


LATER = {"state": "success", "components": {"a": 1}, "next": {"b": 2}, "event_name": "later"}
SCRIPTS = {
    "stdout and stderr are one log in order": (
        "for i in 1 2 3; do echo out$i; echo err$i >&2; done; echo failure",
        {"log": "out1\nerr1\nout2\nerr2\nout3\nerr3\nfailure\n", "state": "failure"}
        | {"lastline": "failure", "output": []},
    ),
    "the exit code is reported but does not decide": (
        """echo '{"data":1}'; exit 3""",
        {"state": "success", "output": ["1"], "code": 3},
    ),
    "components, next and event of the last line": (
        f"echo '{json.dumps(LATER)}'",
        {"components": {"a": 1}, "next": {"b": 2}, "trigger_name": "later"},
    ),
    "one that closes its output is still waited for": ("echo '[1]'; exec >&- 2>&-; sleep 0.2; exit 4", {"code": 4}),
}


@pytest.mark.parametrize("what", SCRIPTS)
def test_what_a_script_does_is_the_jobs(what: str, run: Run) -> None:
    script, expected = SCRIPTS[what]
    job = run(script)
    assert expected.items() <= (job["result"] | job).items()


def test_arguments_and_environment_reach_the_script(run: Run) -> None:
    script = 'import json, os, sys; print(json.dumps([*sys.argv[1:], os.environ["COLOUR"], os.environ["HOME"]]))'
    values = ["$(touch x)", "it's; `y`", None, 7, {"a": "ñ"}, "two\nlines"]
    output = run(script, *values, runas="python3 %script%", env={"COLOUR": "dark blue"})["output"]
    expected = ["$(touch x)", "it's; `y`", "", "7", '{"a":"ñ"}', "two\nlines", "dark blue"]
    assert output == [*expected, os.environ["HOME"]]


def test_a_data_url_is_a_file_as_long_as_the_job_runs(run: Run) -> None:
    script = """printf '["%s","%s"]' "$(cat "$1")" "$1" """
    text, path = run(script, "data:text/plain;base64,aGVsbG8=")["output"]
    assert text == "hello"
    assert eventually(lambda: not Path(path).parent.exists())


def test_an_exported_recipe_runs(start: Start, tasks: Path) -> None:
    shutil.copy(Path(__file__).parents[1] / "data" / "recipes" / "exported.json", tasks)
    job = start().run("61f3e937c38201da80f96d01", "Ada")
    assert (job["output"], job["result"]["log"][:10]) == (['{"greeting":"Hello Ada"}'], "Hello Ada\n")


HOSTILE: dict[str, tuple[bytes, list[str]]] = {
    "nothing": (b"", []),
    "deep": (b"print('[' * 100000)", []),
    "huge integer": (b"print('[' + '9' * 5000 + ']')", []),
    "nan": (b"print('{\"data\": NaN}')", []),
    "surrogate": (b'print(\'[{"a": "\\\\ud83d"}]\')', ['{"a":"\\ud83d"}']),
    "bare surrogate": (b"print('[\"\\\\ud83d\"]')", ["\ud83d"]),
    "nul": (b"print('[\"a\\x00b\"]')", []),
    "escaped nul": (b"print('[\"a\\\\u0000b\"]')", ["a\0b"]),
    "not utf-8": (b"import os; os.write(1, b'[\"\\xff\"]')", ["\ufffd"]),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_output_breaks_nothing(what: str, run: Run) -> None:
    script, output = HOSTILE[what]
    assert run(script, runas="python3 %script%")["output"] == output


@pytest.mark.parametrize(
    ("script", "stored"),
    [
        ("for _ in range(15): os.write(1, b'x' * (1 << 20) + b'\\n')\nprint('[1]')", True),
        ("for _ in range(20): os.write(1, b'x' * (1 << 20) + b'\\n')\nprint('[1]')", False),
        ("""print('{"state":"success","data":"%s"}' % ('x' * 4_190_000))""", True),
        ("""print('{"state":"success","data":"%s"}' % ('x' * 4_200_000))""", False),
    ],
    ids=["long log", "too long a log", "large output", "too large an output"],
)
def test_what_mongodb_cannot_store_is_cancelled_as_in_theeye(script: str, stored: bool, run: Run) -> None:
    job = run(f"import os\n{script}", runas="python3 %script%")
    assert (job["lifecycle"], job["state"]) == (("finished", "success") if stored else ("terminated", "canceled"))
    assert job["output"]
    if not stored:
        assert "larger than TheEye can store: 16777216 bytes (MongoDB's limit)" in job["output"][0]
        assert job["result"]["log"].endswith(f"[sandbox] {job['output'][0]}\n")
        assert len(job["result"]["log"]) < 3000


@pytest.mark.parametrize(
    ("runas", "values", "reason"),
    [
        ("no-such-interpreter %script%", [], "'no-such-interpreter' is not installed"),
        ("sh %script%", ["nul\0"], "could not be started"),
        ("sh %script%", ["x" * 3_000_000], "could not be started"),
    ],
)
def test_what_cannot_be_run_is_a_failed_job(run: Run, runas: str, values: list[str], reason: str) -> None:
    job = run("", *values, runas=runas)
    assert (job["lifecycle"], job["state"]) == ("finished", "failure")
    assert reason in job["result"]["log"]


@pytest.mark.parametrize("end", ["timeout", "canceled"])
def test_the_end_kills_grandchildren_too(end: str, start: Start, tasks: Path, tmp_path: Path) -> None:
    # The leader is gone long before: only the group holds the grandchild.
    script = f"sh -c 'sleep 60 & echo $! > {tmp_path}/number; wait' & echo started"
    recipe(tasks, ID, script, timeout=3000 if end == "timeout" else None)
    client = start()
    job = client.create(ID)
    number = written_number(tmp_path / "number")
    if end == "canceled":
        client.call("PUT", f"/acme/job/{job}/cancel")
    ended = client.ended(job)
    assert (ended["lifecycle"], ended["state"]) == ("terminated", end)
    assert end == "canceled" or ended["result"]["log"] == "started\n"
    assert eventually(lambda: not is_alive(number))


def test_a_process_that_left_the_group_does_not_hold_the_job(run: Run) -> None:
    script = "import subprocess\nprint('[1]', flush=True)\nsubprocess.Popen(['sleep', '40'], start_new_session=True)"
    begin = time.monotonic()
    assert run(script, runas="python3 %script%", timeout=700)["state"] == "timeout"
    assert time.monotonic() - begin < 30


def test_a_script_killed_before_it_started_ends_at_once(tmp_path: Path) -> None:
    script = Script()
    script.kill()
    ended = script.run("sleep 60", dict(os.environ), tmp_path, 60)
    assert (ended.killed, ended.signal) == (True, "SIGKILL")


def test_sixteen_run_at_once_and_the_next_one_waits(start: Start, tasks: Path, tmp_path: Path) -> None:
    recipe(tasks, ID, f"while [ ! -e {tmp_path}/go ]; do sleep 0.02; done; echo '[1]'")
    client = start()
    jobs = [client.create(ID) for _ in range(17)]
    eventually(lambda: [client.lifecycle(job) for job in jobs].count("assigned") == 16)
    waiting = next(job for job in jobs if client.lifecycle(job) == "ready")
    client.call("PUT", f"/acme/job/{waiting}/cancel")
    assert client.lifecycle(waiting) == "canceled"
    (tmp_path / "go").touch()
    # More than five ended: the default history limit acts at the next create only.
    assert [client.ended(job)["output"] for job in jobs if job != waiting] == [["1"]] * 16
    assert client.lifecycle(waiting) == "canceled"


def test_jobs_and_tokens_survive_a_restart(start: Start, tasks: Path) -> None:
    recipe(tasks, ID, "echo '[1]'")
    client = start()
    login = client.call("POST", "/api/auth/login", auth=("ada", "lovelace"))
    ended = client.run(ID)
    parked = client.create(ID, lifecycle="onhold")
    client = start()
    assert client.job(ended["id"]) == ended
    assert client.lifecycle(parked) == "onhold"
    with Client(client.url, login.json()["access_token"]) as ada:
        assert ada.lifecycle(parked) == "onhold"


def test_a_restart_ends_what_ran_and_runs_what_was_ready(start: Start, tasks: Path, tmp_path: Path) -> None:
    numbers = tmp_path / "numbers"
    recipe(tasks, ID, f"[ -e {tmp_path}/go ] || {{ echo $$ >> {numbers}; sleep 60; }}; echo '[1]'")
    client = start()
    running = [client.create(ID) for _ in range(16)]
    eventually(lambda: numbers.exists() and numbers.read_text().count("\n") == 16)
    ready = client.create(ID)
    gone = client.create(SLEEPER, 0)
    (tmp_path / "go").touch()
    client = start()
    for job in running:
        document = client.job(job)
        assert (document["lifecycle"], document["state"]) == ("terminated", "canceled")
        assert document["result"] == {"killed": True, "output": document["output"]}
        assert "stopped while this job was running" in document["output"][0]
    assert client.ended(ready)["output"] == ["1"]
    assert client.ended(gone)["output"] == ['{"slept":0}']
    assert not any(is_alive(int(number)) for number in numbers.read_text().split())


def test_a_ready_job_whose_task_is_gone_fails(start: Start, tasks: Path) -> None:
    recipe(tasks, ID, "echo '[1]'")
    client = start()
    parked = client.create(ID, lifecycle="syncing")
    (tasks / f"{ID}.json").unlink()
    client = start()
    client.call("PUT", f"/job/{parked}/synced")
    job = client.ended(parked)
    assert (job["state"], job["result"]["lastline"]) == ("failure", f"The task {ID} does not exist any more.")


def test_a_bug_in_the_agent_is_a_failed_job_and_a_log_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise LookupError("a bug")

    monkeypatch.setattr("sandbox.agent.run_task", broken)
    job = run("")
    assert (job["state"], "a bug" in job["result"]["log"]) == ("failure", True)
    assert "broke the agent" in caplog.text


def test_a_database_that_cannot_be_used(tmp_path: Path) -> None:
    with Sandbox(database=tmp_path / "x"), pytest.raises(StoreError, match="another sandbox"):
        Sandbox(database=tmp_path / "x").start()
    (tmp_path / "y").write_text("something else " * 100)
    with pytest.raises(StoreError, match="cannot be used"):
        Sandbox(database=tmp_path / "y").start()


def test_stopping_twice_and_starting_again(tmp_path: Path) -> None:
    sandbox = Sandbox(database=tmp_path / "x")
    with pytest.raises(RuntimeError):
        _ = sandbox.address
    for _ in range(2):
        with sandbox, Client(sandbox.url) as client:
            assert client.run(SLEEPER, 0)["lifecycle"] not in IN_PROGRESS
        sandbox.stop()
