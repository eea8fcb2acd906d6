"""Send TCP keep-alive probes on silent connections: NAT and load balancers drop these after minutes.

A wait may last longer, and neither side would notice the drop. The probes also detect a peer that is gone.
"""

import socket
from typing import Any

_SECONDS = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}  # the last is a count; tcp(7)
_OPTIONS = {getattr(socket, name): value for name, value in _SECONDS.items() if hasattr(socket, name)}


def keep_alive(sock: socket.socket) -> None:
    """Switch probes on; what a listening socket accepts inherits them. A unix socket needs none."""
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _OPTIONS.items():
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def redis_keep_alive(url: str) -> dict[str, Any]:
    """Return redis-py's options for the same; it takes none of them for a unix socket."""
    return {} if url.lower().startswith("unix:") else {"socket_keepalive": True, "socket_keepalive_options": _OPTIONS}
