"""Test what the environment says about a URL, its proxy and certificates, and that an error names its variable."""

import base64
import os
from pathlib import Path

import pytest

from app.settings import SettingsError
from app.theeye.endpoint import read_endpoint
from app.theeye.transport import Transport

HTTP, HTTPS = "http://theeye.example:6080/base", "https://theeye.example"


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Yield the environment of a test, without proxies (tests/conftest.py removes them)."""
    return monkeypatch


@pytest.mark.parametrize(
    ("variables", "http", "https"),
    [
        ({}, None, None),
        ({"HTTP_PROXY": "http://a:1"}, "a", None),
        ({"HTTPS_PROXY": "http://b:1"}, None, "b"),
        ({"http_proxy": "http://a:1", "HTTP_PROXY": "http://other:1"}, "a", None),
        ({"ALL_PROXY": "http://c:1"}, "c", "c"),
        ({"all_proxy": "http://c:1", "https_proxy": "http://b:1"}, "c", "b"),
        ({"ALL_PROXY": "http://c:1", "NO_PROXY": "theeye.example"}, None, None),
        ({"ALL_PROXY": "http://c:1", "no_proxy": ".example"}, None, None),
        ({"ALL_PROXY": "http://c:1", "NO_PROXY": "theeye.example:6080"}, None, "c"),
        ({"ALL_PROXY": "http://c:1", "NO_PROXY": "*"}, None, None),
        ({"ALL_PROXY": "http://c:1", "NO_PROXY": "other.example"}, "c", "c"),
        ({"HTTP_PROXY": "", "HTTPS_PROXY": " "}, None, None),
    ],
)
def test_each_url_has_its_own_proxy(
    variables: dict[str, str], http: str | None, https: str | None, environ: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        environ.setenv(name, value.strip())
    found = [read_endpoint(url).proxy for url in (HTTP, HTTPS)]
    assert [proxy and proxy.host for proxy in found] == [http, https]
    for proxy in found:
        assert proxy is None or variables[proxy.variable] == str(proxy)


def test_an_address_is_spared_by_its_network(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("HTTP_PROXY", "http://a:1")
    environ.setenv("NO_PROXY", "127.0.0.0/8")
    assert read_endpoint("http://127.0.0.1:6080").proxy is None
    assert read_endpoint("http://10.0.0.1:6080").proxy is not None


@pytest.mark.parametrize(
    ("text", "host", "port", "credentials"),
    [
        ("http://proxy.example", "proxy.example", 80, None),
        ("proxy.example:3128", "proxy.example", 3128, None),
        ("http://[::1]:3128/", "::1", 3128, None),
        ("http://ada:hunter2@proxy.example:3128", "proxy.example", 3128, "ada:hunter2"),
        ("http://a%40b:p%3Aw%2F%C3%B1@proxy.example", "proxy.example", 80, "a@b:p:w/ñ"),
        ("http://ada@proxy.example", "proxy.example", 80, "ada:"),
    ],
)
def test_a_proxys_url(text: str, host: str, port: int, credentials: str | None, environ: pytest.MonkeyPatch) -> None:
    environ.setenv("HTTPS_PROXY", text)
    endpoint = read_endpoint(HTTPS)
    assert endpoint.proxy is not None
    assert (endpoint.proxy.host, endpoint.proxy.port, endpoint.next_hop) == (host, port, (host, port))
    given = endpoint.proxy.authorization.removeprefix("Basic ")
    assert base64.b64decode(given).decode() == (credentials or "")
    assert "hunter2" not in f"{endpoint} {endpoint.proxy}"
    assert given == "" or given not in f"{endpoint!r} {endpoint.proxy!r}"


@pytest.mark.parametrize(
    "text",
    [
        *("socks5://ada:hunter2@proxy.example:1080", "socks5h://proxy.example", "https://ada:hunter2@proxy.example"),
        *("http://ada:hunter2@proxy.example:99999", "http://ada:hunter2@:3128", "http://ada:hunter2@[::1", "http://"),
    ],
)
@pytest.mark.parametrize(("url", "variable"), [(HTTP, "HTTP_PROXY"), (HTTPS, "https_proxy"), (HTTPS, "ALL_PROXY")])
def test_a_proxy_that_cannot_be_used_names_its_variable_and_keeps_its_password(
    url: str, variable: str, text: str, environ: pytest.MonkeyPatch
) -> None:
    environ.setenv(variable, text)
    with pytest.raises(SettingsError, match=rf"^{variable} must ") as caught:
        Transport(url, 1, 1, 1)
    assert "hunter2" not in str(caught.value)


def test_a_proxy_that_no_url_needs_is_not_looked_at(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("HTTPS_PROXY", "socks5://proxy.example:1080")
    assert read_endpoint(HTTP).proxy is None
    environ.setenv("NO_PROXY", "theeye.example")
    assert read_endpoint(HTTPS).proxy is None


def test_the_authority_is_that_of_the_url() -> None:
    for url in ("http://theeye.example:6080", "https://theeye.example:80", "http://[::1]"):
        assert read_endpoint(url).authority == url.partition("//")[2]
    for url in ("http://theeye.example:80", "https://theeye.example:443"):
        assert read_endpoint(url).authority == "theeye.example", "the usual port is left out"


# -- certificates -----------------------------------------------------------------------------------------------------


def test_the_first_of_three_variables_counts(certificate: tuple[Path, Path], environ: pytest.MonkeyPatch) -> None:
    assert read_endpoint(HTTPS).bundle.variable == ""
    assert read_endpoint(HTTPS).bundle.path.endswith("cacert.pem"), "certifi's"
    for variable in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        environ.setenv(variable, str(certificate[0]))
        endpoint = read_endpoint(HTTPS)
        assert (endpoint.bundle.variable, endpoint.bundle.path) == (variable, str(certificate[0]))
        assert endpoint.tls is not None
        assert len(endpoint.tls.get_ca_certs()) == 1, "these and no others"
        assert endpoint.tls is read_endpoint("https://other.example").tls, "they are loaded once"


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize("url", [HTTP, HTTPS])
def test_a_bundle_that_cannot_be_read_names_its_variable(
    url: str, variable: str, tmp_path: Path, environ: pytest.MonkeyPatch
) -> None:
    environ.setenv(variable, str(tmp_path / "nothing.pem"))
    with pytest.raises(SettingsError, match=f"^{variable} .*No such file or directory"):
        read_endpoint(url)
    (tmp_path / "nothing.pem").write_text("no certificate")
    with pytest.raises(SettingsError, match=f"^{variable} names a file without certificates"):
        read_endpoint(url)


def test_a_folder_of_certificates(tmp_path: Path, environ: pytest.MonkeyPatch) -> None:
    environ.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    assert read_endpoint(HTTPS).tls is not None


def test_a_client_certificate_that_has_gone_since(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^SYNC_CLIENT_CERT "):
        read_endpoint(HTTPS, str(tmp_path / "gone.pem"))


def test_no_variable_is_read_later(certificate: tuple[Path, Path], environ: pytest.MonkeyPatch) -> None:
    transport = Transport(HTTP, 1, 1, 1)
    environ.setenv("HTTP_PROXY", "http://a:1")
    assert transport.endpoint.proxy is None
    assert "HTTP_PROXY" in os.environ
