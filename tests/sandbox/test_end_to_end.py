"""The seed's examples through gunicorn on the sandbox's TheEye, with and without Redis, and `make run` itself."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from support.processes import Redis, Service
from support.sandbox import TEXT_418, check_live
from support.settings import environment

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
        env = environment(sandbox, redis_url=redis_url)
        with Service(env, worker=worker) as service, requests.Session() as http:
            http.trust_env = False
            http.headers["Connection"] = "close"  # an idle connection would hold up the service's end
            yield World(sandbox, service, http)


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
