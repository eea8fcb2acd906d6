"""Run small servers: one thread accepts connections, and each connection has a thread of its own."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Serve = Callable[[socket.socket], object]
Send = Callable[[socket.socket, bytes], object]


@contextmanager
def serving(serve: Serve) -> Iterator[int]:
    """Yield a port; pass its connections to `serve` and close them afterwards. Clients may close them at any time."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, args=(listener, serve), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # closing the socket does not wake accept()
            thread.join(5)


def accept(listener: socket.socket, serve: Serve) -> None:
    """Pass connections to `serve` until the listener is shut down."""
    with suppress(OSError):
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=_run, args=(sock, serve), daemon=True).start()


def _run(sock: socket.socket, serve: Serve) -> None:
    with sock, suppress(OSError):
        serve(sock)


def relay(client: socket.socket, port: int, send: Send = socket.socket.sendall) -> None:
    """Relay bytes between a client and a local port until both have ended; `send` forwards the answers."""
    with socket.create_connection(("127.0.0.1", port)) as server:
        back = threading.Thread(target=_copy, args=(server, client, send), daemon=True)
        back.start()
        _copy(client, server, socket.socket.sendall)
        back.join(60)


def _copy(source: socket.socket, target: socket.socket, send: Send) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            send(target, data)
        target.shutdown(socket.SHUT_WR)
