"""Test Lua scripts on Redis: they are found and loaded, and a Redis that fails is skipped for some seconds."""

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

import pytest
from support.processes import Redis, full_listener, user_of
from support.sockets import serving

from app.runs import redis_scripts
from app.runs.redis_scripts import RedisScripts, RedisUnavailable

SCRIPTS = sorted((resources.files("app.runs") / "lua").iterdir(), key=lambda file: file.name)
RELEASE = ("key_release", ["theeye-sync:key:none"], ["nobody"])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_says_at_its_head_what_it_takes_and_returns(script: resources.abc.Traversable) -> None:
    head = script.read_text().partition("\n\n")[0]
    assert all(line.startswith("--") for line in head.splitlines())
    assert re.search("^-- KEYS", head, re.M)
    assert re.search("^-- ARGV", head, re.M)
    assert re.search("^-- Returns", head, re.M)


def test_every_script_is_run_by_its_name() -> None:
    code = "".join(file.read_text() for file in resources.files("app.runs").iterdir() if file.name.endswith(".py"))
    assert {f"{name}.lua" for name in re.findall(r'"((?:key|history|durations)_\w+)"', code)} == {
        file.name for file in SCRIPTS
    }


def test_a_script_that_redis_no_longer_has_is_loaded_again(redis_server: Redis) -> None:
    scripts = RedisScripts(redis_server.url)
    assert scripts.run(*RELEASE) == 0
    redis_server.client().script_flush()
    assert scripts.run(*RELEASE) == 0


@dataclass
class Failing:
    """Run a server that closes every connection at once, and counts them."""

    url: str = ""
    connections: int = 0

    def close(self, sock: socket.socket) -> None:
        self.connections += 1


@pytest.fixture
def failing() -> Iterator[Failing]:
    server = Failing()
    with serving(server.close) as port:
        server.url = f"redis://127.0.0.1:{port}"
        yield server


def test_a_redis_that_failed_is_skipped_for_a_while(failing: Failing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_scripts, "BREAK_SECONDS", 600)
    scripts = RedisScripts(failing.url)
    for then in ("$", *[r" \(tried a moment ago\)$"] * 2):
        with pytest.raises(RedisUnavailable, match=f"Redis cannot be reached{then}"):
            scripts.run(*RELEASE)
    assert failing.connections == 1
    with pytest.raises(RedisUnavailable):
        scripts.run(*RELEASE, despite_failure=True)
    assert failing.connections == 2
    assert scripts.is_down


def test_a_redis_that_is_back_is_asked_again(failing: Failing, redis_server: Redis) -> None:
    scripts = RedisScripts(failing.url)
    with pytest.raises(RedisUnavailable):
        scripts.run(*RELEASE)
    back = RedisScripts(redis_server.url)
    scripts._client, scripts._scripts, scripts._skip_until = back._client, {}, 0
    assert scripts.run(*RELEASE) == 0
    assert not scripts.is_down


def test_a_failure_is_logged_without_the_password(failing: Failing, caplog: pytest.LogCaptureFixture) -> None:
    scripts = RedisScripts(failing.url.replace("//", "//user:hunter2@"))
    with pytest.raises(RedisUnavailable) as raised:
        scripts.run(*RELEASE)
    assert "Redis cannot be reached: " in caplog.text
    assert "hunter2" not in caplog.text + str(raised.value)


def test_a_failure_is_explained_without_the_names_of_redis_and_python(
    failing: Failing, redis_server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explained(url: str) -> str:
        with pytest.raises(RedisUnavailable) as raised:
            RedisScripts(url).run(*RELEASE)
        return str(raised.value)

    assert explained(failing.url) == "Redis cannot be reached"
    with user_of(redis_server, "~* &* +@all -evalsha") as url:
        assert explained(url) == explained(url.replace("hunter2", "x")) == "Redis answered with an error"
    monkeypatch.setattr(redis_scripts, "CALL_SECONDS", 0.1)
    with full_listener() as port:
        assert explained(f"redis://127.0.0.1:{port}") == "Redis did not answer in time"
