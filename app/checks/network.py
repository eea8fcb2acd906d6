"""Check that a host can be reached: its name resolves, its port is open, its certificate is valid."""

import socket
import ssl
import threading
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any


class Unreachable(Exception):
    """Tell why a host cannot be reached, and what to do about it."""

    def __init__(self, words: str, advice: str) -> None:
        super().__init__(words)
        self.words = words
        self.advice = advice


def reach(host: str, port: int, seconds: float, tls: bool = False) -> None:
    """Connect within so many seconds and close the connection. Raise Unreachable."""
    deadline = monotonic() + seconds
    addresses = _resolve(host, port, seconds)
    sock = _connect(host, port, addresses, deadline, seconds)
    with sock:
        if tls:
            _shake_hands(sock, host, port, deadline)


def _resolve(host: str, port: int, seconds: float) -> list[Any]:
    """Return the addresses; a thread asks for them, since the system's resolver has no time limit."""
    answer: SimpleQueue[list[Any] | None] = SimpleQueue()

    def ask() -> None:
        try:
            answer.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError):
            answer.put(None)

    threading.Thread(target=ask, daemon=True).start()
    try:
        addresses = answer.get(timeout=seconds)
    except Empty:
        raise Unreachable(f"the name {host} was not resolved within {seconds:g} s", "Look at this host's DNS") from None
    if not addresses:
        raise Unreachable(f"the name {host} does not resolve", "Correct the host in the URL, or this host's DNS")
    return addresses


def _connect(host: str, port: int, addresses: list[Any], deadline: float, seconds: float) -> socket.socket:
    failed: OSError = OSError()
    for family, kind, protocol, _, address in addresses:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(_left(deadline))
            sock.connect(address)
            return sock
        except OSError as error:
            sock.close()
            failed = error
    if isinstance(failed, ConnectionRefusedError):
        raise Unreachable(f"nothing listens on {host}:{port}", "Start it there, or correct the port in the URL")
    if isinstance(failed, TimeoutError):
        raise Unreachable(
            f"{host}:{port} did not accept a connection within {seconds:g} s", "Look for a firewall, or a wrong host"
        )
    raise Unreachable(f"{host}:{port} cannot be reached: {failed.strerror}", "Look at the network in between")


def _shake_hands(sock: socket.socket, host: str, port: int, deadline: float) -> None:
    try:
        sock.settimeout(_left(deadline))
        ssl.create_default_context().wrap_socket(sock, server_hostname=host).close()
    except ssl.SSLCertVerificationError as error:
        raise Unreachable(
            f"the certificate of {host}:{port} is not accepted: {error.verify_message.rstrip('.')}",
            "Use the name that it was made for; a private authority goes into the file that SSL_CERT_FILE names",
        ) from None
    except TimeoutError:
        raise Unreachable(f"{host}:{port} does not finish the TLS handshake", "Does it speak TLS there?") from None
    except (OSError, ValueError):
        raise Unreachable(
            f"{host}:{port} does not speak TLS as expected", "Should the URL begin without the s?"
        ) from None


def _left(deadline: float) -> float:
    return max(deadline - monotonic(), 0.001)
