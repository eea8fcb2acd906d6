"""Parse the texts of environment variables. Each reader raises ValueError with the end of the sentence "SYNC_X …".

No error repeats the text: it may contain a password.
"""

import re
import ssl
from collections.abc import Callable
from importlib.util import find_spec
from typing import TypeVar
from urllib.parse import urlsplit

from app.redis_url import SEVERAL, read_redis_url

AUTO = "auto"

N = TypeVar("N", int, float)


def number(least: float, most: float) -> Callable[[str], float]:
    """Return a reader of decimal numbers without sign or exponent."""
    return _in_range(float, r"[0-9]*\.?[0-9]+", least, most, "a number")


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers without sign."""
    return _in_range(int, r"[0-9]{1,15}", least, most, "a whole number")


def flag(text: str) -> bool:
    """Read 0 or 1."""
    if text not in ("0", "1"):
        raise ValueError("must be 0 or 1")
    return text == "1"


def names(text: str) -> tuple[str, ...]:
    """Read any number of words, separated by commas or spaces."""
    return tuple(re.split(r"[\s,]+", text.strip(" ,\t"))) if text.strip(" ,\t") else ()


def origins(text: str) -> tuple[str, ...]:
    """Read one or more origins (RFC 6454, 7) or `*`."""
    found = names(text)
    if not found or not all(re.fullmatch(r"\*|null|[a-z][a-z0-9+.-]*://[^/\s*]+", origin) for origin in found):
        raise ValueError("must be * or origins like https://app.example.org, without a path")
    return found


def log_form(text: str) -> str:
    """Read the form of the access log; `json` needs the extra `log`."""
    if text not in ("text", "json", "off"):
        raise ValueError("must be one of text, json, off")
    if text == "json" and find_spec("pythonjsonlogger") is None:
        raise ValueError("json needs python-json-logger: pip install 'theeye-sync[log]'")
    return text


def address(text: str) -> str:
    """Read an address to listen on, in gunicorn's form; `:PORT` means all IPv4 addresses."""
    if text.startswith(":"):
        text = f"0.0.0.0{text}"
    if not re.fullmatch(r"(unix:[^,\n]+|fd://[0-9]+|(?!fd:)(\[[0-9a-fA-F:.]+\]|[^\s:/*]+):[0-9]{1,5})", text):
        raise ValueError("must be one address: HOST:PORT, :PORT, unix:PATH or fd://NUMBER")
    digits = text.rpartition(":")[2]
    if digits.isdigit() and int(digits) > 65535:
        raise ValueError("must have a port of at most 65535")
    return text


def metrics_address(text: str) -> str:
    """Read an address to serve Prometheus at; it needs the extra `metrics`."""
    if text.startswith("fd:"):
        raise ValueError("must be HOST:PORT, :PORT or unix:PATH")
    if find_spec("prometheus_client") is None:
        raise ValueError("needs prometheus_client: pip install 'theeye-sync[metrics]'")
    return address(text)


def server_url(text: str) -> str:
    """Read the URL of a server, without the slashes at its end."""
    _check_url(text, "http", "https")
    if "?" in text or "#" in text or urlsplit(text).username is not None:
        raise ValueError("must be a URL of a host and perhaps a path, without a user, query or fragment")
    return text.rstrip("/")


def server_url_or_auto(text: str) -> str:
    """Read the URL of a server, or AUTO."""
    if text.lower() == AUTO:
        return AUTO
    try:
        return server_url(text)
    except ValueError as error:
        raise ValueError(f"{error}, or `{AUTO}`") from None


def redis_address(text: str) -> str:
    """Read the URL of a Redis database or its Sentinels; it needs the extra `redis`. Refuse an unknown option."""
    if find_spec("redis") is None:
        raise ValueError("needs redis-py: pip install 'theeye-sync[redis]'")
    if not re.match(r"unix://|[a-z+-]*(\+sentinel|cluster)://", text, re.IGNORECASE):
        if re.match(r"rediss?://([^/?#]*@)?[^/?#@]*,[^/?#@]*([/?#]|$)", text, re.IGNORECASE):
            raise ValueError(SEVERAL)
        _check_url(text, "redis", "rediss", "redis+sentinel", "rediss+sentinel", "unix")
        if not re.fullmatch("/?[0-9]*", urlsplit(text).path):
            raise ValueError("must end with the number of a database, or have none")
    read_redis_url(text)
    return text


def pem_file(text: str) -> str:
    """Read the path of a PEM file; load the file like a TLS client to check it."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(text, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ValueError("must contain the key of its certificate") from None
        raise ValueError("must be a PEM file with a certificate and its key") from None
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    return text


def _in_range(kind: Callable[[str], N], digits: str, least: N, most: N, words: str) -> Callable[[str], N]:
    def read(text: str) -> N:
        if re.fullmatch(digits, text, re.ASCII) and least <= (value := kind(text)) <= most:
            return value
        raise ValueError(f"must be {words} from {least} to {most}")

    return read


def _check_url(text: str, *schemes: str) -> None:
    try:
        url = urlsplit(text)
        host = url.hostname or ","  # neither no host nor several
        usable = url.scheme in schemes and "," not in host and (url.port is None or url.port > 0)
    except ValueError:
        usable = False
    if not usable or not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError(f"must be a URL that begins with {' or '.join(s + '://' for s in schemes)}")


def _no_password() -> str:
    raise ValueError("must contain a key that is not encrypted")
