"""Test values that need a file or a package: errors name what is missing."""

import subprocess
from pathlib import Path

import pytest
from support.processes import need
from support.tls import make_certificate

from app import setting_readers
from app.settings import Settings, SettingsError


def test_json_logs_need_their_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setting_readers, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"SYNC_LOG json needs python-json-logger: pip install '.*\[log\]'"):
        Settings.from_env({"SYNC_LOG": "json"})
    assert Settings.from_env({"SYNC_LOG": "off"}).log == "off"


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
        "another's key": ("must contain the key of its certificate", cert.read_text() + other_key.read_text()),
        "an encrypted key": ("must contain a key that is not encrypted", cert.read_text() + encrypted),
    }
    for name, (reason, text) in texts.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(SettingsError, match=f"^SYNC_CLIENT_CERT {reason}$"):
            Settings.from_env({"SYNC_CLIENT_CERT": str(tmp_path / name)})
    for path, reason in ((tmp_path / "nothing", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(SettingsError, match=f"^SYNC_CLIENT_CERT cannot be read: {reason}$"):
            Settings.from_env({"SYNC_CLIENT_CERT": str(path)})


def test_the_public_urls_words_name_both_forms() -> None:
    with pytest.raises(ValueError, match="begins with http:// or https://, or `auto`"):
        setting_readers.server_url_or_auto("automatic")
