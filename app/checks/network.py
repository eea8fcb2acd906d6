"""Check that a host can be reached: its name resolves, its port is open, its certificate is valid."""

import socket
import ssl
from contextlib import closing
from http.client import HTTPException
from time import monotonic

from app.theeye.addresses import Addresses
from app.theeye.connection import Connection, TunnelRefused
from app.theeye.endpoint import Endpoint, Proxy


class Unreachable(Exception):
    """Report why a host cannot be reached, and what to do."""

    def __init__(self, words: str, advice: str) -> None:
        super().__init__(words)
        self.words = words
        self.advice = advice


def reach(host: str, port: int, seconds: float) -> None:
    """Connect within some seconds, then close the connection. Raise Unreachable."""
    _connect(host, port, seconds).close()


def reach_endpoint(endpoint: Endpoint, seconds: float) -> None:
    """Connect as the service does, through the proxy and with TLS, then close the connection. Raise Unreachable."""
    until = monotonic() + seconds
    with closing(Connection(_connect(*endpoint.next_hop, seconds), until)) as connection:
        if endpoint.tls is not None:
            if endpoint.proxy is not None:
                _tunnel(connection, endpoint, endpoint.proxy)
            _shake_hands(connection, endpoint, endpoint.tls)


def _connect(host: str, port: int, seconds: float) -> socket.socket:
    until = monotonic() + seconds
    addresses = Addresses(host, port)
    _resolve(addresses, host, until, seconds)
    try:
        return addresses.connect(until)
    except ConnectionRefusedError:
        raise Unreachable(
            f"nothing listens on {host}:{port}", "Start it there, or correct the port in the URL"
        ) from None
    except TimeoutError:
        raise Unreachable(
            f"{host}:{port} did not accept a connection within {seconds:g} s", "Look for a firewall, or a wrong host"
        ) from None
    except OSError as error:
        raise Unreachable(
            f"{host}:{port} cannot be reached: {error.strerror or error}",
            "Look at the network on the way to it",
        ) from None


def _resolve(addresses: Addresses, host: str, until: float, seconds: float) -> None:
    try:
        addresses.resolve(until)
    except TimeoutError:
        raise Unreachable(f"the name {host} was not resolved within {seconds:g} s", "Look at this host's DNS") from None
    except (OSError, UnicodeError):
        raise Unreachable(
            f"the name {host} does not resolve", "Correct the host in the URL, or this host's DNS"
        ) from None


def _tunnel(connection: Connection, endpoint: Endpoint, proxy: Proxy) -> None:
    try:
        connection.tunnel(endpoint)
    except TunnelRefused as error:
        advice = f"Write user and password into {proxy.variable}" if error.status == 407 else "Look at the proxy's log"
        raise Unreachable(
            f"the proxy {proxy} refused to connect to {endpoint.host_port}, with status {error.status}", advice
        ) from None
    except TimeoutError:
        raise Unreachable(
            f"the proxy {proxy} did not connect to {endpoint.host_port} in time", "Look at the network behind the proxy"
        ) from None
    except (OSError, HTTPException):
        raise Unreachable(f"the proxy {proxy} gives no HTTP answer", f"Correct {proxy.variable}") from None


def _shake_hands(connection: Connection, endpoint: Endpoint, context: ssl.SSLContext) -> None:
    where = endpoint.host_port
    try:
        connection.secure(context, endpoint.host)
    except ssl.SSLCertVerificationError as error:
        raise Unreachable(
            f"the certificate of {where} is not accepted: {error.verify_message.rstrip('.')}",
            "Use the host name that is in the certificate; put a private authority's certificate into the file that "
            f"{endpoint.bundle.variable or 'SSL_CERT_FILE'} names",
        ) from None
    except TimeoutError:
        raise Unreachable(f"{where} does not finish the TLS handshake", "Does that port use TLS?") from None
    except (OSError, ValueError):
        raise Unreachable(f"{where} does not answer with TLS", "Is it http instead of https?") from None
