"""Read the proxy and certificates for a URL from the environment, once and as requests does."""

import os
import ssl
from base64 import b64encode
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from app.settings import SettingsError, variable_of


@dataclass(frozen=True, slots=True)
class Proxy:
    """Name an HTTP proxy and the variable that sets it; `authorization` is the value of its header, or empty."""

    host: str
    port: int
    variable: str
    authorization: str = field(repr=False)

    def __str__(self) -> str:
        """Return the proxy's URL without user and password."""
        return f"http://{_host_port(self.host, self.port)}"


@dataclass(frozen=True, slots=True)
class Bundle:
    """Name the file or folder of trusted certificates, and the variable that sets it, or an empty text."""

    path: str
    variable: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Hold a server's address and how to connect to it; without https `tls` is None and the bundle is unused."""

    scheme: str
    host: str
    port: int
    base: str
    proxy: Proxy | None
    bundle: Bundle
    tls: ssl.SSLContext | None

    @property
    def authority(self) -> str:
        """Return host and port for a Host header, without the scheme's default port (RFC 9110, 7.2)."""
        return self.host_port.removesuffix(":443" if self.tls else ":80")

    @property
    def host_port(self) -> str:
        """Return host and port for a CONNECT request."""
        return _host_port(self.host, self.port)

    @property
    def next_hop(self) -> tuple[str, int]:
        """Return the host and port to connect to: those of the proxy if there is one."""
        return (self.proxy.host, self.proxy.port) if self.proxy else (self.host, self.port)

    @property
    def is_relayed(self) -> bool:
        """Return whether a proxy forwards each request and may answer itself; with https it only forwards bytes."""
        return self.proxy is not None and self.tls is None


def read_endpoint(base_url: str, client_cert: str = "") -> Endpoint:
    """Read the endpoint of a URL from the environment. Raise SettingsError, which names the variable.

    `client_cert` is a PEM file with a certificate and its key, for a server that asks for one.
    """
    # Not at import: gunicorn's master imports this module, but requests must be imported after gevent has patched ssl.
    import requests

    url = urlsplit(base_url)
    found = requests.Session().merge_environment_settings(base_url, {}, None, None, None)
    proxy_url = requests.utils.select_proxy(base_url, found["proxies"])
    bundle = _bundle(found["verify"])
    # A variable that names no readable file is the operator's mistake, also if no URL needs the file.
    context = _context(bundle, client_cert) if bundle.variable or url.scheme == "https" else None
    return Endpoint(
        scheme=url.scheme,
        host=url.hostname or "",
        port=url.port or (443 if url.scheme == "https" else 80),
        base=url.path,
        proxy=_proxy(proxy_url, url) if proxy_url else None,
        bundle=bundle,
        tls=context if url.scheme == "https" else None,
    )


def _proxy(text: str, url: SplitResult) -> Proxy:
    """Parse a proxy's URL. Raise SettingsError, without the password."""
    variable = _proxy_variable(text, url.scheme)
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        raise SettingsError(f"{variable} must be the URL of a proxy") from None
    if parts.scheme != "http" or not host:
        raise SettingsError(f"{variable} must be an http:// URL: no other kind of proxy is supported")
    authorization = ""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {b64encode(pair.encode()).decode()}"  # RFC 7617
    return Proxy(host, port, variable, authorization)


def _proxy_variable(text: str, scheme: str) -> str:
    """Return the variable that contains a proxy's URL."""
    names = (f"{scheme}_proxy", "all_proxy")
    set_to_it = [name for name, value in os.environ.items() if name.lower() in names and value == text]
    return set_to_it[0] if set_to_it else "the system's proxy setting"


def _bundle(verify: Any) -> Bundle:
    """Return the trusted certificates; `verify` is True if none of the variables that requests reads is set."""
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    if verify is not True:
        return Bundle(str(verify), "REQUESTS_CA_BUNDLE" if os.environ.get("REQUESTS_CA_BUNDLE") else "CURL_CA_BUNDLE")
    if path := os.environ.get("SSL_CERT_FILE"):
        return Bundle(path, "SSL_CERT_FILE")
    return Bundle(DEFAULT_CA_BUNDLE_PATH, "")


@lru_cache(maxsize=1)  # loading takes 20 ms, and gateway and supervisor have the same certificates
def _context(bundle: Bundle, client_cert: str) -> ssl.SSLContext:
    """Return a TLS context with these trusted certificates and this client certificate. Raise SettingsError."""
    context = _trusting(bundle)
    context.set_alpn_protocols(["http/1.1"])
    if client_cert:
        _add_certificate(context, client_cert)
    return context


def _trusting(bundle: Bundle) -> ssl.SSLContext:
    variable = bundle.variable or "certifi"
    try:
        if Path(bundle.path).is_dir():
            return ssl.create_default_context(capath=bundle.path)
        return ssl.create_default_context(cafile=bundle.path)
    except ssl.SSLError:
        raise SettingsError(f"{variable} names a file without certificates: {bundle.path}") from None
    except OSError as error:
        raise SettingsError(f"{variable} names {bundle.path}, which cannot be read: {error.strerror}") from None


def _add_certificate(context: ssl.SSLContext, client_cert: str) -> None:
    """Add the client's certificate. Raise SettingsError if its file has changed since the settings were read."""
    try:
        context.load_cert_chain(client_cert, password="")
    except OSError:
        raise SettingsError(f"{variable_of('client_cert')} cannot be read any more") from None
    context.post_handshake_auth = True  # TLS 1.3: a server may ask for the certificate after it has read the path


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
