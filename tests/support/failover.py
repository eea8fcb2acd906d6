"""Run a Redis master, its replica, and a Sentinel that promotes the replica."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from support.processes import Process, Redis, free_port, need, wait_until

NAME, PASSWORD = "theeye", "hunter2"


class TlsRedis(Redis):
    """Run a Redis that may have a master; with a certificate it uses TLS."""

    def __init__(self, certificate: tuple[Path, Path] | None = None, options: Sequence[str] = ()) -> None:
        super().__init__(PASSWORD)
        self._certificate = certificate
        lines = [f"--{line}" for line in tls_lines(certificate, self.port)]
        self._options = [
            *["--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0"],
            *options,
            *" ".join(lines).split(),
        ]

    @property
    def url(self) -> str:
        return f"redis{tls_query(self._certificate, super().url.removeprefix('redis'))}"

    def _answers(self) -> bool:
        self._check_early_exit()
        with suppress(redis.ConnectionError):
            return bool(self.client().ping())
        return False


class SentinelProcess(Process):
    """Run a Sentinel that considers a master dead after half a second; `password` is its own, or empty."""

    def __init__(self, master: Redis, password: str, certificate: tuple[Path, Path] | None) -> None:
        super().__init__()
        self.port = free_port()
        self._lines = [
            f"bind 127.0.0.1\ndir {self.directory}",
            f"sentinel monitor {NAME} 127.0.0.1 {master.port} 1\nsentinel auth-pass {NAME} {PASSWORD}",
            f"sentinel down-after-milliseconds {NAME} 500\nsentinel failover-timeout {NAME} 3000",
            f"port {self.port}" if certificate is None else "",
            f"requirepass {password}" if password else "",
            *tls_lines(certificate, self.port),
        ]
        self._url = tls_query(certificate, f"://{f':{password}@' if password else ''}127.0.0.1:{self.port}")

    def start(self) -> None:
        path = self.directory / "sentinel.conf"  # the Sentinel writes to it
        path.write_text("\n".join(self._lines))
        self.launch([need("redis-server", "redis-server"), str(path), "--sentinel"])
        wait_until(self._knows_a_replica, 30, "a replica that the Sentinel knows")

    def execute(self, *command: str) -> Any:
        with redis.Redis.from_url(f"redis{self._url}") as client:
            return client.execute_command(*command)

    def fail_over(self) -> None:
        """Move the master as for maintenance; the old one becomes a replica."""
        before = self._master()
        self.execute("SENTINEL FAILOVER", NAME)
        wait_until(lambda: self._master() != before, 30, "another master")

    def _master(self) -> Any:
        """The master's port, as redis-py reads it: SENTINEL GET-MASTER-ADDR-BY-NAME has the new one too early."""
        return self.execute("SENTINEL MASTER", NAME)["port"]

    def _knows_a_replica(self) -> bool:
        self._check_early_exit()
        with suppress(redis.RedisError):
            return any(known["master-link-status"] == "ok" for known in self.execute("SENTINEL SLAVES", NAME))
        return False


@dataclass
class Watched:
    """Hold master, replica and Sentinel, and the URL with the Sentinel; its first Sentinel does not exist."""

    master: Redis
    sentinel: SentinelProcess
    url: str

    def replicate(self) -> None:
        """Wait until the replica has all data."""
        assert self.master.client().wait(1, 20000) == 1


def tls_lines(certificate: tuple[Path, Path] | None, port: int) -> list[str]:
    """Return the lines for TLS of a configuration."""
    if certificate is None:
        return []
    cert, key = certificate
    files = [f"tls-cert-file {cert}", f"tls-key-file {key}", f"tls-ca-cert-file {cert}"]
    return ["port 0", f"tls-port {port}", "tls-replication yes", "tls-auth-clients no", *files]


def tls_query(certificate: tuple[Path, Path] | None, rest: str) -> str:
    """Return the rest of a URL after `redis`, with the `s` and the options of TLS if there is a certificate."""
    return rest if certificate is None else f"s{rest}?ssl_ca_certs={certificate[0]}"


@contextmanager
def watched(sentinel_password: str = "", certificate: tuple[Path, Path] | None = None) -> Iterator[Watched]:
    with TlsRedis(certificate) as master:
        replica_of = ["--replicaof", "127.0.0.1", str(master.port)]
        with TlsRedis(certificate, replica_of), SentinelProcess(master, sentinel_password, certificate) as sentinel:
            hosts = f"127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}"
            url = tls_query(certificate, f"+sentinel://:{PASSWORD}@{hosts}/{NAME}/0")
            query = f"{'&' if '?' in url else '?'}sentinel_password={sentinel_password}" if sentinel_password else ""
            yield Watched(master, sentinel, f"redis{url}{query}")
