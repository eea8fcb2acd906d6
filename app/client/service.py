"""Call a running service with requests, which reads proxies and CA bundles from the environment."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, prepend_scheme_if_needed, select_proxy
from urllib3.exceptions import NewConnectionError

from app.client.misuse import Misuse
from app.client.outcome import Answer, answer_of

CONNECT_SECONDS = 10.0
SILENT_SECONDS = 120.0  # beyond the time that it may queue a request; a stream sends a comment every 10 s
NOT_SENT = "EUNREACHABLE"
LOST_CODES = ("EOUTCOMEUNKNOWN", NOT_SENT)


class Cut(Exception):
    """Report that no answer arrived; `sent` is whether the service may have received the request."""

    def __init__(self, words: str, sent: bool) -> None:
        super().__init__(words)
        self.sent = sent


class Service:
    """Call one service with one token."""

    def __init__(self, url: str, token: str, insecure: bool = False) -> None:
        """Connect to nothing yet. Raise Misuse for an unusable URL or proxy, or one that would show the token."""
        parts, proxy = _split(url), _proxy_for(url)
        if parts.scheme == "http" and not insecure and not _stays_here(parts, proxy):
            raise Misuse("with plain http the network can read the token: use https, or `--insecure`")
        self.url = url.rstrip("/")
        self._token = token

    @contextmanager
    def call(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        silent_seconds: float = SILENT_SECONDS,
    ) -> Iterator[requests.Response]:
        """Yield the response before its body is read. Raise Cut if it does not arrive as a whole."""
        with requests.Session() as session:
            try:
                response = session.request(
                    method,
                    self.url + target,
                    data=body,
                    headers=headers,
                    auth=self._bear,
                    timeout=(CONNECT_SECONDS, silent_seconds),
                    allow_redirects=False,
                    stream=True,
                )
            except (
                OSError,  # all errors of requests, and a missing CA bundle
                ValueError,  # the name of a host or a proxy that cannot be one
            ) as error:
                raise Cut(_words(error), _was_sent(error)) from None
            try:
                yield response
            except requests.RequestException as error:
                raise Cut(_words(error), sent=True) from None

    def ask(self, method: str, target: str) -> Answer:
        """Send a short request and return the whole answer. Raise Cut."""
        with self.call(method, target) as response:
            return read_answer(response)

    def _bear(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Set the token. Without an `auth` function requests would replace the header if ~/.netrc has the host."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def read_answer(response: requests.Response) -> Answer:
    """Return the answer of a response that is no stream.

    Raise Cut if the answer is not whole, or if a proxy in front of the service answered instead. With deploy/nginx.conf
    the proxy's answer says whether the service may have received the request.
    """
    headers = {name.lower(): value for name, value in response.headers.items()}
    if not (response.content or _tells_end(response)):
        raise Cut("the connection ended within the answer's headers", sent=True)
    answer = answer_of(response.status_code, headers, response.content)
    if _is_of_proxy(answer):
        raise Cut(answer.words, sent=answer.code != NOT_SENT)
    return answer


def _tells_end(response: requests.Response) -> bool:
    """Return whether an answer without content is whole; http.client accepts headers that the connection's end cuts."""
    length, coding = (response.headers.get(name, "") for name in ("Content-Length", "Transfer-Encoding"))
    return response.status_code in (204, 304) or length.isdigit() or coding.lower() == "chunked"


def _is_of_proxy(answer: Answer) -> bool:
    """Return whether a proxy reports a service that it has lost; 501 is the answer of a server without POST."""
    if answer.error is None or answer.status < 500 or answer.status == 501:
        return False
    return not answer.is_ours or answer.code in LOST_CODES


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) and url.isprintable()
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or "@" in parts.netloc or "\\" in url:
        raise Misuse("write the URL of the service as https://HOST[:PORT][/PATH], without a password")
    return parts


def _proxy_for(url: str) -> str:
    """Return the URL of the proxy that requests will use, or an empty text. Raise Misuse if it cannot be used.

    The errors of requests for such a URL may contain its password.
    """
    try:
        proxy = select_proxy(url, get_environ_proxies(url)) or ""
        if not proxy:
            return proxy
        proxy = str(prepend_scheme_if_needed(proxy, "http"))  # type: ignore[no-untyped-call]
        usable = urlsplit(proxy).hostname and HTTPAdapter().proxy_manager_for(proxy)
    except (OSError, TypeError, ValueError):  # OSError: all errors of requests
        usable = None
    if not usable:
        raise Misuse(
            "the proxy in the environment (HTTPS_PROXY, HTTP_PROXY or ALL_PROXY) cannot be used: "
            "write http://[USER:PASSWORD@]HOST[:PORT], with special characters of the password percent-encoded"
        )
    return proxy


def _stays_here(parts: SplitResult, proxy: str) -> bool:
    """Return whether a request stays on this machine, also if a proxy is used."""
    return _is_here(parts.hostname) and (not proxy or _is_here(urlsplit(proxy).hostname))


def _is_here(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


def _was_sent(error: OSError | ValueError) -> bool:
    """Return whether the service may have received a request that failed before its response."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError):
        return False
    reason = _reason(error)
    if isinstance(error, requests.exceptions.SSLError):  # an error of the TLS handshake, unless the connection ended
        return isinstance(reason.args[0] if reason.args else None, ssl.SSLEOFError)
    is_network = isinstance(error, requests.ConnectionError | requests.Timeout)
    return is_network and not isinstance(reason, NewConnectionError)


def _reason(error: OSError | ValueError) -> BaseException:
    cause = error.args[0] if error.args else None
    found = getattr(cause, "reason", cause)
    return found if isinstance(found, BaseException) else error


def _words(error: OSError | ValueError) -> str:
    return f"no answer from the service: {_reason(error)}"
