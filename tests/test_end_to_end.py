"""The seed's examples through gunicorn on the sandbox's TheEye, with and without Redis, and `make run` itself."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from support.processes import CHECKOUT, Process, Redis, Service, clean_environment, need, wait_until

from app.api.responses import etag
from sandbox import CUSTOMER, CUSTOMER_ID, PASSWORD, TOKEN, USER, Sandbox

REST_API_RESPONSE = "61f3e937c38201da80f96c27"
ECHO = "61f3e937c38201da80f96c28"
SLEEPER = "61f3e937c38201da80f96c29"
SEVERAL_OUTPUTS = "61f3e937c38201da80f96c2a"
NOT_JSON = "61f3e937c38201da80f96c2b"
FAILURE = "61f3e937c38201da80f96c2c"
TIMEOUT = "61f3e937c38201da80f96c2d"
HISTORY_OF_FIVE = "61f3e937c38201da80f96c2e"

ERROR_418 = {
    "message": "Validation Error. Invalid Argument Value",
    "statusCode": 418,
    "name": "ClientError",
    "code": "",
    "status": 418,
}
TEXT_418 = (
    '{"message":"Validation Error. Invalid Argument Value","statusCode":418,"name":"ClientError",'
    '"code":"","status":418}'
)


@dataclass(frozen=True)
class World:
    sandbox: Sandbox
    service: Service
    http: requests.Session

    def post(self, task: str, arguments: list[Any], query: str = "", **headers: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {TOKEN}"} | headers
        url = f"{self.service.url}/{CUSTOMER}/task/{task}/job{query}"
        return self.http.post(url, json={"task_arguments": arguments}, headers=headers)

    def ask(self, method: str, path: str) -> requests.Response:
        return self.http.request(method, self.service.url + path, headers={"Authorization": f"Bearer {TOKEN}"})


@pytest.fixture(scope="module", params=["gevent-notified", "gthread-polling"])
def world(
    request: pytest.FixtureRequest, redis_server: Redis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    worker, _, waits = request.param.partition("-")
    redis_url = redis_server.url if waits == "notified" else ""
    with Sandbox(database=tmp_path_factory.mktemp("sandbox") / "theeye.sqlite3", redis_url=redis_url) as sandbox:
        env = {"SYNC_GATEWAY_URL": sandbox.url, "SYNC_SUPERVISOR_URL": sandbox.url, "SYNC_REDIS_URL": redis_url}
        with Service(env, worker=worker) as service, requests.Session() as http:
            http.trust_env = False
            http.headers["Connection"] = "close"  # an idle connection would hold up the service's end
            yield World(sandbox, service, http)


def check_live(text: str) -> None:
    """The seed's answer, with a date of now."""
    found = re.fullmatch(r'\{"name":"tomer","date":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"\}', text)
    assert found
    assert abs(datetime.now(UTC) - datetime.fromisoformat(found[1])) < timedelta(minutes=1)


# -- the seed's examples ----------------------------------------------------------------------------------------


def test_the_output_of_a_success(world: World) -> None:
    got = world.post(REST_API_RESPONSE, [100])
    assert (got.status_code, got.reason) == (200, "OK")
    [output] = got.json()
    check_live(output)
    assert got.headers["Content-Length"] == "62"
    assert got.headers["ETag"] == etag(got.content)


def test_the_output_of_a_failure(world: World) -> None:
    got = world.post(REST_API_RESPONSE, [200])
    assert (got.status_code, got.reason) == (500, "Internal Server Error")
    assert got.json() == [TEXT_418]
    assert got.headers["ETag"] == 'W/"87-+Fzdxc2Q7NsFIfhclF3lcqgSScY"'
    assert (got.headers["X-Job-Lifecycle"], got.headers["X-Job-State"]) == ("finished", "failure")


def test_parse(world: World) -> None:
    got = world.post(REST_API_RESPONSE, [100], "?parse")
    assert (got.status_code, got.headers["Content-Length"]) == (200, "50")
    check_live(got.text)
    got = world.post(REST_API_RESPONSE, [200], "?parse")
    assert (got.status_code, got.reason, got.text) == (418, "I'm a Teapot", TEXT_418)
    assert got.headers["ETag"] == 'W/"73-FBmPIgGdDNzn6NM27joxlSUMWp4"'


def test_result(world: World) -> None:
    got = world.post(REST_API_RESPONSE, [200], "?result")
    result = got.json()
    assert got.status_code == 500
    assert result.keys() == {"code", "log", "lastline", "output", "signal", "killed", "times", "user"}
    assert (result["output"], result["killed"], result["user"]["username"]) == (ERROR_418, False, USER)


def test_full(world: World) -> None:
    got = world.post(REST_API_RESPONSE, [100], "?full")
    job = got.json()
    assert got.status_code == 200
    assert (job["id"], job["task_id"], job["customer_id"]) == (got.headers["X-Job-Id"], REST_API_RESPONSE, CUSTOMER_ID)
    assert (job["lifecycle"], job["state"], job["task_arguments_values"]) == ("finished", "success", [100])
    check_live(job["output"][0])
    assert world.ask("GET", f"/{CUSTOMER}/task/{REST_API_RESPONSE}/job/{job['id']}?full").json() == job


def test_the_token_in_the_query_and_the_customers_id(world: World) -> None:
    url = f"{world.service.url}/{CUSTOMER_ID}/task/{REST_API_RESPONSE}/job?parse&access_token={TOKEN}"
    got = world.http.post(url, json={"task_arguments": [200]})
    assert (got.status_code, got.json()) == (418, ERROR_418)


def test_wrong_arguments_are_theeyes_400(world: World) -> None:
    got = world.post(REST_API_RESPONSE, [])
    assert got.status_code == 400
    assert "array of length 1" in got.json()["value"]["message"]
    assert "X-Job-Id" not in got.headers


# -- the other tasks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "status", "body"),
    [
        ("?parse", 200, {"first": 1}),
        ("?parse=0", 200, {"first": 1}),
        ("?parse=1", 201, {"second": 2, "statusCode": 201}),
        ("?parse=2", 200, ['{"first":1}', '{"second":2,"statusCode":201}', "not JSON"]),
        ("?parse=3", 200, ['{"first":1}', '{"second":2,"statusCode":201}', "not JSON"]),
        ("", 200, ['{"first":1}', '{"second":2,"statusCode":201}', "not JSON"]),
    ],
)
def test_several_outputs(query: str, status: int, body: Any, world: World) -> None:
    got = world.post(SEVERAL_OUTPUTS, [], query)
    assert (got.status_code, got.json()) == (status, body)


@pytest.mark.parametrize("query", ["", "?parse"])
def test_an_output_that_is_not_json(query: str, world: World) -> None:
    got = world.post(NOT_JSON, [], query)
    assert (got.status_code, got.json()) == (200, ["plain words, not JSON"])


def test_a_failure(world: World) -> None:
    got = world.post(FAILURE, [], "?parse")
    assert (got.status_code, got.json()) == (422, {"message": "It did not work", "statusCode": 422})
    assert got.headers["X-Job-State"] == "failure"
    result = world.post(FAILURE, [], "?result")
    assert (result.status_code, result.json()["code"]) == (500, 1)
    assert result.json()["log"].startswith("about to fail\nsomething is wrong\n")


def test_a_timeout(world: World) -> None:
    got = world.post(TIMEOUT, [], "?result")
    assert got.status_code == 500
    assert (got.headers["X-Job-State"], got.headers["X-Job-Lifecycle"]) == ("timeout", "terminated")
    assert got.json()["killed"] is True
    assert got.json()["log"].startswith("going to sleep")


def test_a_sleeper(world: World) -> None:
    assert world.post(SLEEPER, [0.2], "?parse").json() == {"slept": 0.2}


@pytest.mark.parametrize("task", [ECHO, HISTORY_OF_FIVE])
def test_a_dummy_echoes_its_arguments(task: str, world: World) -> None:
    arguments = ["text", "se\xf1al \u2615 \U0001f600", '{"a":1}', "'; rm -rf / #", ""]
    assert world.post(task, arguments).json() == arguments
    assert world.post(task, [{"b": [1, None]}], "?parse").json() == {"b": [1, None]}


def test_50_callers_each_get_their_own_answer(world: World) -> None:
    def ask(number: int) -> Any:
        task, arguments = (SLEEPER, [number / 1000]) if number % 2 else (ECHO, [f'{{"slept":{number / 1000}}}'])
        got = world.post(task, arguments, "?parse")
        return got.status_code, got.json()

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(ask, range(50)))
    assert answers == [(200, {"slept": number / 1000}) for number in range(50)]


def test_a_running_job_is_cancelled(world: World) -> None:
    started = world.post(SLEEPER, [60], Prefer="respond-async")
    assert started.status_code == 202
    with ThreadPoolExecutor(1) as pool:
        parked = pool.submit(world.ask, "GET", started.headers["Location"] + "?full")
        assert world.ask("DELETE", started.headers["Location"]).status_code == 204
        got = parked.result()
    assert (got.status_code, got.headers["X-Job-State"]) == (500, "canceled")
    assert got.headers["X-Job-Lifecycle"] in ("canceled", "terminated")
    again = world.ask("DELETE", started.headers["Location"])
    assert (again.status_code, again.json()["code"]) == (409, "EJOBENDED")


def test_a_token_from_the_login(world: World) -> None:
    login = f"{world.sandbox.url}/api/auth/login"
    for customer, status in ((CUSTOMER, 200), ("beta", 403)):
        token = world.http.post(f"{login}?customer={customer}", auth=(USER, PASSWORD)).json()["access_token"]
        assert world.post(ECHO, ["x"], Authorization=f"Bearer {token}").status_code == status
    assert world.post(ECHO, ["x"], Authorization="Bearer " + "0" * 64).status_code == 401


# -- make run -------------------------------------------------------------------------------------------------------

SANDBOX_PORT, SERVICE_PORT = 6080, 6090


def need_free(*ports: int) -> None:
    """Skips where somebody else has a port, but not silently on CI."""
    for port in ports:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError as error:
            reason = f"port {port} is needed, but it is in use: {error.strerror}"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)


class Demo(Process):
    """What `make run` runs."""

    def start(self, **env: str) -> None:
        self.launch([sys.executable, "-m", "sandbox.demo"], cwd=CHECKOUT, env=clean_environment() | env)

    def is_ready(self) -> bool:
        self._check_early_exit()
        return "Ctrl-C stops it." in self.log_text().partition("TheEye Sync is ready")[2]

    def sockets(self) -> list[str]:
        files = Path(f"/proc/{self.pid}/fd")
        return [str(each) for each in files.glob("*") if str(each.readlink()).startswith("socket:")]

    def children(self) -> list[int]:
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in listed.read_text().split()] if listed.exists() else []


@contextmanager
def demo(**env: str) -> Iterator[Demo]:
    running = Demo()
    children: list[int] = []
    try:
        running.start(**env)
        wait_until(lambda: running.is_ready() or "cannot listen" in running.log_text(), 30, "make run")
        children = running.children()
        yield running
    finally:
        for pid in children:  # each has a session of its own: a demo that is killed leaves them behind
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        running.kill()
        running.close()


@dataclass(frozen=True)
class Typed:
    """What a curl command printed."""

    status_line: str
    headers: dict[str, str]
    body: str


def type_in(command: str) -> Typed:
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30, check=True)
    head, _, body = done.stdout.partition("\n\n")
    status_line, *lines = head.split("\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return Typed(status_line, headers, body)


def check_seed(answers: list[Typed]) -> None:
    output, failed, parsed, teapot, result, full = answers
    assert [answer.status_line.removeprefix("HTTP/1.1 ") for answer in answers] == [
        "200 OK",
        "500 Internal Server Error",
        "200 OK",
        "418 I'm a Teapot",
        "200 OK",
        "200 OK",
    ]
    assert re.fullmatch(r'\["\{\\"name\\":\\"tomer\\",\\"date\\":\\"[0-9TZ:.-]{24}\\"\}"\]', output.body)
    assert (output.headers["Content-Length"], parsed.headers["Content-Length"]) == ("62", "50")
    check_live(parsed.body)
    assert failed.headers["ETag"] == 'W/"87-+Fzdxc2Q7NsFIfhclF3lcqgSScY"'
    assert (teapot.headers["ETag"], teapot.body) == ('W/"73-FBmPIgGdDNzn6NM27joxlSUMWp4"', TEXT_418)
    assert result.body.startswith('{"code":0,')
    assert '"lifecycle":"finished"' in full.body
    assert {answer.headers["Access-Control-Allow-Origin"] for answer in answers} == {"*"}


def test_make_run_prints_commands_that_answer_as_the_seed_shows() -> None:
    need("curl", "curl")
    need_free(SANDBOX_PORT, SERVICE_PORT)
    with demo() as running:
        wait_until(running.is_ready, 30, "the commands")
        commands = re.findall(r"^curl -i [^\n]*\\\n[^\n]*$", running.log_text(), re.MULTILINE)
        assert len(commands) == 7
        answers = [type_in(command.replace("curl -i", "curl -sSi --noproxy '*'")) for command in commands]
        page = answers.pop(4)
        assert page.headers["Content-Type"].startswith("text/html")
        check_seed(answers)
        assert not running.sockets(), "a connection that is kept would hold up the end"
        running.signal(signal.SIGINT)
        assert running.wait(10) == 0
        assert "Traceback" not in running.log_text()
        need_nobody(SANDBOX_PORT, SERVICE_PORT)


def need_nobody(*ports: int) -> None:
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 2).close()


def test_make_run_says_that_the_sandboxs_port_is_taken() -> None:
    need_free(SANDBOX_PORT)
    with socket.create_server(("127.0.0.1", SANDBOX_PORT)), demo() as running:
        assert running.wait(10) == 1
        said = running.log_text()
        assert said.startswith(f"make run: cannot listen on 127.0.0.1:{SANDBOX_PORT} (the sandbox's port): Address al")
        assert said.endswith("Is it running already?\n")
        assert said.count("\n") == 1


def test_make_run_says_that_the_services_port_is_taken() -> None:
    need_free(SANDBOX_PORT)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        with demo(SYNC_BIND=bind) as running:
            assert running.wait(10) == 1
            assert running.log_text().startswith(
                f"make run: cannot listen on {bind} (SYNC_BIND): Address already in use"
            )
        need_nobody(SANDBOX_PORT)


@pytest.mark.skipif(os.environ.get("CI") != "true", reason="installs everything anew: CI=true runs it")
def test_make_run_in_a_fresh_clone(tmp_path: Path) -> None:
    need_free(SANDBOX_PORT, SERVICE_PORT)
    subprocess.run(["git", "clone", "-q", str(CHECKOUT), str(tmp_path / "a clone")], check=True)
    running = Demo()
    try:
        running.launch(
            ["make", "-s", f"PYTHON={sys.executable}", "run"], cwd=tmp_path / "a clone", env=clean_environment()
        )
        wait_until(running.is_ready, 100, "make run")
        with requests.Session() as session:
            session.trust_env = False
            url = f"http://127.0.0.1:{SERVICE_PORT}/acme/task/61f3e937c38201da80f96c27/job?parse&access_token={TOKEN}"
            got = session.post(url, json={"task_arguments": [200]}, headers={"Connection": "close"}, timeout=30)
        assert got.status_code == 418
        os.killpg(running.pid, signal.SIGINT)  # as a terminal's Ctrl-C does
        running.wait(20)
        assert "Traceback" not in running.log_text()
        need_nobody(SANDBOX_PORT, SERVICE_PORT)
    finally:
        print(running.log_text())
        running.close()
