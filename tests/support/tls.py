"""Run a stand-in behind TLS, with a self-signed certificate."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.processes import need
from support.sockets import serving
from support.theeye import StandIn


def make_certificate(folder: Path, cert: str = "cert.pem", key: str = "key.pem", name: str = "") -> tuple[Path, Path]:
    """Make a self-signed certificate and its key, for `name` or else for 127.0.0.1; return their files."""
    command = [need("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=theeye", "-addext", f"subjectAltName={f'DNS:{name}' if name else 'IP:127.0.0.1'}"]
    subprocess.run([*command, "-keyout", key, "-out", cert], cwd=folder, check=True, capture_output=True)
    return folder / cert, folder / key


@contextmanager
def tls_server(certificate: tuple[Path, Path], theeye: StandIn, clients: Path | None = None) -> Iterator[str]:
    """Run the stand-in behind TLS, and yield its URL. With `clients`, accept only clients with these certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)

    def serve(client: socket.socket) -> None:
        local = ("127.0.0.1", theeye.port)
        with context.wrap_socket(client, server_side=True) as secure, socket.create_connection(local) as plain:
            while request := secure.recv(65536):  # in turns: two threads must not use one TLS connection
                plain.sendall(request)
                secure.sendall(plain.recv(65536))

    with serving(serve) as port:
        yield f"https://127.0.0.1:{port}"
