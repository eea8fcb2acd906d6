"""Settings: read once, and a bad value names its variable."""

import dataclasses
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.processes import Service, need
from support.tls import make_certificate

from app import settings as module
from app.settings import Settings, SettingsError, unknown_variables


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
        ("SYNC_PUBLIC_URL", "auto", "auto"),
    ],
)
def test_each_kind_of_value(variable: str, text: str, value: object) -> None:
    field = variable.removeprefix("SYNC_").lower()
    assert getattr(Settings.from_env({variable: text}), field) == value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("SYNC_BIND", "6090"),
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


def test_a_setting_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().bind = "x"  # type: ignore[misc]


def test_json_logs_need_their_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"SYNC_LOG json needs python-json-logger: pip install '.*\[log\]'"):
        Settings.from_env({"SYNC_LOG": "json"})
    assert Settings.from_env({"SYNC_LOG": "off"}).log == "off"


# -- a client's certificate -------------------------------------------------------------------------------------------


def test_a_client_certificate_is_loaded_at_the_start(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path)
    client = tmp_path / "client.pem"
    client.write_text(cert.read_text() + key.read_text())
    assert Settings.from_env({"SYNC_CLIENT_CERT": str(client)}).client_cert == str(client)


def test_a_client_certificate_that_cannot_be_used(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path)
    (tmp_path / "other").mkdir()
    _, other_key = make_certificate(tmp_path / "other")
    encrypt = [need("openssl", "openssl"), "rsa", "-aes256", "-passout", "pass:hunter2", "-in", str(key)]
    encrypted = subprocess.run(encrypt, check=True, capture_output=True, text=True).stdout
    texts = {
        "no PEM": ("must be a PEM file with a certificate and its key", "-----BEGIN"),
        "no key": ("must be a PEM file with a certificate and its key", cert.read_text()),
        "no certificate": ("must be a PEM file with a certificate and its key", key.read_text()),
        "another's key": ("must hold the key of its own certificate", cert.read_text() + other_key.read_text()),
        "an encrypted key": ("must hold a key that is not encrypted", cert.read_text() + encrypted),
    }
    for name, (reason, text) in texts.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(SettingsError, match=f"^SYNC_CLIENT_CERT {reason}$"):
            Settings.from_env({"SYNC_CLIENT_CERT": str(tmp_path / name)})
    for path, reason in ((tmp_path / "nothing", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(SettingsError, match=f"^SYNC_CLIENT_CERT cannot be read: {reason}$"):
            Settings.from_env({"SYNC_CLIENT_CERT": str(path)})


def test_a_variable_that_is_no_setting_is_named_with_the_nearest() -> None:
    kubernetes = {
        "SYNC_SERVICE_HOST": "10.0.0.1",
        "SYNC_SERVICE_PORT": "80",
        "SYNC_SERVICE_PORT_HTTP": "80",
        "SYNC_PORT": "tcp://10.0.0.1:6090",
        "SYNC_PORT_6090_TCP": "tcp://10.0.0.1:6090",
        "SYNC_PORT_6090_TCP_PROTO": "tcp",
        "SYNC_PORT_6090_TCP_PORT": "6090",
        "SYNC_PORT_53_UDP_ADDR": "10.0.0.1",
        "SYNC_API_SERVICE_HOST": "10.0.0.1",
        "SYNC_API_PORT": "udp://10.0.0.1:6090",
    }
    ours = {"SYNC_BIND": "x", "SYNC_CHECK_TOKEN": "x", "PATH": "x", "MY_SYNC_BINDS": "x"}
    assert unknown_variables(kubernetes | ours) == {}
    assert unknown_variables({"SYNC_MAX_WAITTING": "hunter2", "SYNC_PORT": "6090", "SYNC_REDIS": ""}) == {
        "SYNC_MAX_WAITTING": "SYNC_MAX_WAITING",
        "SYNC_PORT": "SYNC_LOG",
        "SYNC_REDIS": "SYNC_REDIS_URL",
    }


def test_the_start_warns_of_each_once(service: Callable[..., Service]) -> None:
    """Of several workers too, and without the value."""
    running = service(workers=2, redis_ulr="redis://:hunter2@h")
    assert running.log_text().count("SYNC_REDIS_ULR is no setting; the nearest is SYNC_REDIS_URL") == 1
    assert "hunter2" not in running.log_text()
