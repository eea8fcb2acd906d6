"""Check that the service is alive, for a container without curl: `python -m app.serving.healthcheck`."""

import socket
import sys
from http.client import HTTPException, HTTPResponse

from app.settings import Settings

SECONDS = 5.0
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def status_of(bind: str) -> int:
    """Return the status of `/healthz` at an address such as SYNC_BIND. Raise OSError, HTTPException or ValueError."""
    family, address = _reachable(bind)
    with socket.socket(family) as sock:
        sock.settimeout(SECONDS)
        sock.connect(address)
        sock.sendall(REQUEST)
        with HTTPResponse(sock, method="GET") as response:
            response.begin()
            return response.status


def _reachable(bind: str) -> tuple[socket.AddressFamily, str | tuple[str, int]]:
    if bind.startswith("unix:"):
        return socket.AF_UNIX, bind.removeprefix("unix:").removeprefix("//")
    host, _, port = bind.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host.strip("[]"))  # a service on all addresses
    return socket.AF_INET6 if ":" in host else socket.AF_INET, (host, int(port))


def main() -> int:
    """Return the exit status: 0 if the service is alive."""
    try:
        return int(status_of(Settings.from_env().bind) != 200)
    except (OSError, HTTPException, ValueError) as error:
        sys.stderr.write(f"theeye-sync: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
