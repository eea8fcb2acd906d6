"""Test settings: they are read once, and the error for a bad value names its variable."""

import dataclasses

import pytest

from app.settings import Settings, SettingsError


def test_defaults() -> None:
    settings = Settings.from_env({})
    assert settings == Settings()
    assert (settings.bind, settings.gateway_url, settings.supervisor_url) == (
        "127.0.0.1:6090",
        "http://127.0.0.1:6080",
        "http://127.0.0.1:60080",
    )
    assert (settings.wait_seconds, settings.grace_seconds, settings.session_ttl) == (60, 30, 30)
    assert (settings.connect_timeout, settings.call_timeout) == (3, 15)
    assert (settings.max_waiting, settings.max_body, settings.max_job) == (1000, 16 * 2**20, 64 * 2**20)
    assert settings.waiting_of_customer == 900
    assert settings.max_answer_bytes == 256 * 2**20
    assert (settings.redis_url, settings.plugins, settings.disabled_formatters) == ("", (), ())
    assert settings.query_token
    assert settings.history_guard
    assert settings.cors_origins == ("*",)


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("SYNC_BIND", "unix:/run/sync.sock", "unix:/run/sync.sock"),
        ("SYNC_BIND", "[::1]:80", "[::1]:80"),
        ("SYNC_BIND", ":6090", "0.0.0.0:6090"),
        ("SYNC_METRICS_BIND", ":9090", "0.0.0.0:9090"),
        ("SYNC_CONTAINER", "1", True),
        ("SYNC_WORKERS", "3", 3),
        ("SYNC_GATEWAY_URL", "https://theeye.example/gw/", "https://theeye.example/gw"),
        ("SYNC_REDIS_URL", "redis://:secret@127.0.0.1:6379/1", "redis://:secret@127.0.0.1:6379/1"),
        ("SYNC_WAIT_SECONDS", "0.5", 0.5),
        ("SYNC_SESSION_TTL", "0", 0),
        ("SYNC_QUERY_TOKEN", "0", False),
        ("SYNC_STRICT", "1", True),
        ("SYNC_CORS_ORIGINS", "https://a.example, https://b.example", ("https://a.example", "https://b.example")),
        ("SYNC_PLUGINS", "a.py b", ("a.py", "b")),
        ("SYNC_PROXIES", "2", 2),
        ("SYNC_MAX_WAITING_CUSTOMER", "7", 7),
        ("SYNC_DISABLED_FORMATTERS", "", ()),
        ("SYNC_PUBLIC_URL", "https://api.example.org/sync/", "https://api.example.org/sync"),
        ("SYNC_PUBLIC_URL", "Auto", "auto"),
    ],
)
def test_each_kind_of_value(variable: str, text: str, value: object) -> None:
    field = variable.removeprefix("SYNC_").lower()
    assert getattr(Settings.from_env({variable: text}), field) == value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("SYNC_BIND", "6090"),
        ("SYNC_BIND", ":99999"),
        ("SYNC_BIND", ":"),
        ("SYNC_BIND", "*:6090"),
        *(("SYNC_BIND", text) for text in ("fd:3", ":1,:2", "unix:/a,127.0.0.1:1")),
        ("SYNC_CONTAINER", "yes"),
        ("SYNC_WORKERS", "0"),
        ("SYNC_WORKERS", "two"),
        ("SYNC_GATEWAY_URL", "127.0.0.1:6080"),
        ("SYNC_GATEWAY_URL", "http://"),
        ("SYNC_SUPERVISOR_URL", "http://h:99999"),
        ("SYNC_SUPERVISOR_URL", "http://user:hunter2@h"),
        ("SYNC_SUPERVISOR_URL", "http://h/?a=1"),
        ("SYNC_PUBLIC_URL", "api.example.org"),
        ("SYNC_PUBLIC_URL", "https://h/?"),
        ("SYNC_REDIS_URL", "http://h"),
        ("SYNC_WAIT_SECONDS", "-1"),
        ("SYNC_WAIT_SECONDS", "nan"),
        ("SYNC_WAIT_SECONDS", "1e3"),
        ("SYNC_GRACE_SECONDS", "99999999"),
        ("SYNC_CALL_TIMEOUT", "0"),
        ("SYNC_MAX_WAITING", "1.5"),
        ("SYNC_MAX_BODY", "16M"),
        ("SYNC_MAX_ANSWER_BYTES", "0"),
        ("SYNC_HISTORY_GUARD", "yes"),
        ("SYNC_QUERY_TOKEN", "true"),
        ("SYNC_STRICT", "yes"),
        ("SYNC_BIND", "127.0.0.1:99999"),
        ("SYNC_CORS_ORIGINS", ","),
        ("SYNC_CORS_ORIGINS", "https://a.example/"),
        ("SYNC_CORS_ORIGINS", "a.example"),
        ("SYNC_PROXIES", "-1"),
        ("SYNC_PROXIES", "yes"),
        ("SYNC_REDIS_URL", "redis://h/zero"),
        ("SYNC_REDIS_URL", "redis://h/0?nonsense=1"),
    ],
)
def test_a_bad_value_names_its_variable_and_keeps_its_secret(variable: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable} ") as caught:
        Settings.from_env({variable: text})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "bind"),
    [
        ({"PORT": "8080"}, "127.0.0.1:6090"),
        ({"PORT": "8080", "SYNC_CONTAINER": "0"}, "127.0.0.1:6090"),
        ({"PORT": "8080", "SYNC_CONTAINER": "1"}, "0.0.0.0:8080"),
        ({"PORT": " ", "SYNC_CONTAINER": "1", "SYNC_BIND": " "}, "0.0.0.0:6090"),
        ({"PORT": "8080", "SYNC_CONTAINER": "1", "SYNC_BIND": "127.0.0.1:7000"}, "127.0.0.1:7000"),
        ({"PORT": "nonsense", "SYNC_CONTAINER": "1", "SYNC_BIND": ":7000"}, "0.0.0.0:7000"),
    ],
)
def test_port_counts_only_in_a_container_without_a_bind(environ: dict[str, str], bind: str) -> None:
    assert Settings.from_env(environ).bind == bind


@pytest.mark.parametrize("port", ["0", "65536", "tcp://10.0.0.1:80", "-1"])
def test_a_bad_port_is_named(port: str) -> None:
    with pytest.raises(SettingsError, match=r"^PORT must be a whole number from 1 to 65535$"):
        Settings.from_env({"PORT": port, "SYNC_CONTAINER": "1"})


def test_a_setting_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().bind = "x"  # type: ignore[misc]
