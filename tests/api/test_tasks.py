"""Test the list of a customer's tasks: as TheEye shows it to the token, without fixed and secret values."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from support.client import ask, error_of
from support.theeye import Reply, Silence, StandIn

from app import Services
from app.api import tasks

LIST = "/acme/task"
FREE = {"id": 1, "order": 1, "type": "select", "label": "Region", "required": True, "multiple": True} | {
    "value": "eu",
    "options": ["eu"],
}


def shown(client: FlaskClient, theeye: StandIn, arguments: Any) -> Any:
    hidden = {"env": {"KEY": "x"}, "secret": "y"}
    task = {"id": "t1", "name": "One", "type": "script", "task_arguments": arguments} | hidden
    theeye.fault("tasks", Reply(200, [task, "nonsense"]), times=1)
    [found] = ask(client, "GET", LIST).get_json()
    assert found.keys() == {"id", "name", "type", "task_arguments"}
    return found["task_arguments"]


@pytest.mark.parametrize(
    ("changes", "hidden"),
    [
        *((changes, False) for changes in ({}, {"readonly": False, "masked": False})),
        *((changes, True) for changes in ({"type": "fixed"}, {"readonly": True}, {"masked": True})),
        *(({"label": label}, True) for label in ("API key", "Contraseña", "ACCESS_TOKEN")),
        *(({"id": name}, True) for name in ("db_pwd", "user_pin", "Credencial")),
        ({"label": "Shipping"}, False),
        ({"type": "password"}, True),
    ],
)
def test_values_that_are_not_the_callers(changes: Any, hidden: bool, client: FlaskClient, theeye: StandIn) -> None:
    [argument] = shown(client, theeye, [FREE | changes | {"help": "x"}])
    expected = {**FREE, **changes}
    if hidden:
        del expected["value"], expected["options"]
    assert argument == expected


@pytest.mark.parametrize("arguments", [None, {}, "x", []])
def test_a_task_without_arguments(arguments: Any, client: FlaskClient, theeye: StandIn) -> None:
    assert shown(client, theeye, arguments) == []


def test_the_callers_own_token_asks_each_time(client: FlaskClient, theeye: StandIn) -> None:
    for query, limit in (("", 1000), ("?limit=7&x=1", 7), ("?limit=1000", 1000)):
        got = ask(client, "GET", LIST + query)
        assert (got.status_code, got.headers["Cache-Control"]) == (200, "no-store")
        call = theeye.calls_of("tasks")[-1]
        assert (call.target, call.headers["authorization"]) == (f"{LIST}?limit={limit}", "Bearer tok-acme")
    assert len(theeye.calls_of("tasks")) == 3


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "", "1e2", "%D9%A3", "10000000"])
def test_a_limit_that_is_none(limit: str, client: FlaskClient, theeye: StandIn) -> None:
    error_of(ask(client, "GET", f"{LIST}?limit={limit}"), 400, "EINVALID")
    assert theeye.calls_of("tasks") == []


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        *((Reply(status, {"message": "no"}), status, "") for status in (403, 404, 429)),
        (Reply(500, {"message": "x"}), 502, "ESUPERVISOR"),
        *((Reply(200, body), 502, "ESUPERVISOR") for body in ({"tasks": []}, b"not JSON")),
    ],
)
def test_what_theeye_refuses(reply: Reply, status: int, code: str, client: FlaskClient, theeye: StandIn) -> None:
    theeye.fault("tasks", reply)
    error = error_of(ask(client, "GET", LIST), status, code)
    assert status == 429 or "started" not in error["message"]


def test_a_list_that_does_not_come(
    client: FlaskClient, services: Services, theeye: StandIn, capfd: pytest.CaptureFixture[str]
) -> None:
    services.supervisor._call_timeout = 0.2
    theeye.fault("tasks", Silence())
    assert error_of(ask(client, "GET", LIST), 502, "ESUPERVISOR")["message"] == "TheEye did not answer: timed out"
    assert "mode=" not in capfd.readouterr().out


@pytest.mark.settings(max_job=1000)
def test_a_list_that_is_larger_than_a_job_may_be(client: FlaskClient, theeye: StandIn) -> None:
    for length, status in ((500, 200), (1000, 502)):
        theeye.fault("tasks", Reply(200, [{"id": "x" * length}]), times=1)
        assert ask(client, "GET", LIST).status_code == status


@pytest.mark.settings(max_waiting=1)
def test_it_holds_a_slot_while_theeye_is_asked(client: FlaskClient, theeye: StandIn) -> None:
    for _ in range(3):
        assert ask(client, "GET", LIST).status_code == 200
    assert ask(client, "GET", "/beta/task").status_code == 403


def test_the_console_hides_what_is_typed_by_the_same_words(client: FlaskClient) -> None:
    with ask(client, "GET", "/console/arguments.js") as script:
        assert f"const words = /{tasks._SECRET.pattern}/i;" in script.get_data(as_text=True)
