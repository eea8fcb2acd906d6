"""Measure what the soak's workers use: memory, threads, files and sockets, connections and subscriptions to Redis."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from soak.world import World
from support.proc import open_files, sockets

GROWTH, GROWTH_MB = 0.10, 5.0
MORE_THREADS, MORE_FILES, MORE_REDIS = 3, 6, 4
JUDGED_SAMPLES = 6


@dataclass(frozen=True)
class Sample:
    """Hold the resources of one worker at one moment."""

    at: float
    service: str
    pid: int
    rss_mb: float
    threads: int
    files: int
    sockets: int
    redis: int  # connections to it, the subscription among them


@dataclass(frozen=True)
class Calm:
    """Hold all resources while there is little load."""

    workers: list[Sample]
    subscriptions: int


@dataclass(frozen=True)
class Growth:
    """Hold a worker's memory when it was warm, and at its end."""

    service: str
    pid: int
    minutes: float
    warm_mb: float
    last_mb: float


def sample(world: World, began: float) -> list[Sample]:
    """Return a sample of all workers; leave out one that ends meanwhile."""
    found = []
    for name, service in world.services.items():
        for pid in service.worker_pids():
            with suppress(OSError, StopIteration):
                found.append(look(name, pid, world.redis.port, time.monotonic() - began))
    return found


def look(service: str, pid: int, redis_port: int, at: float) -> Sample:
    files = open_files(pid).values()
    to_redis = {each.name for each in sockets() if each.remote_port == redis_port}
    opened = sum(name.startswith("socket:") for name in files)
    memory_mb = status(pid, "VmRSS") / 1024
    return Sample(at, service, pid, memory_mb, status(pid, "Threads"), len(files), opened, len(to_redis & {*files}))


def status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def calm(world: World, began: float) -> Calm:
    with world.redis.client() as client:
        return Calm(sample(world, began), len(client.client_list(_type="pubsub")))


class Sampler(threading.Thread):
    """Take samples at regular intervals."""

    def __init__(self, world: World, began: float, interval: float) -> None:
        super().__init__(name="soak-sampler", daemon=True)
        self.samples: list[Sample] = []
        self._world, self._began, self._interval = world, began, interval

    def run(self) -> None:
        while not self._world.stop.wait(self._interval):
            self.samples += sample(self._world, self._began)


def growths(samples: list[Sample], warm_up: float) -> list[Growth]:
    """Yield the growth of each worker that was watched long enough after its warm-up."""
    found = []
    for pid in dict.fromkeys(one.pid for one in samples):
        mine = [one for one in samples if one.pid == pid]
        warm = [one for one in mine if one.at >= mine[0].at + warm_up]
        if len(warm) >= JUDGED_SAMPLES:
            first, last = (median(one.rss_mb for one in part) for part in (warm[:3], warm[-3:]))
            found.append(Growth(mine[0].service, pid, (warm[-1].at - warm[0].at) / 60, first, last))
    return found


def not_flat(before: Calm, after: Calm, grown: list[Growth], workers: int) -> list[str]:
    """Return what has grown but should not have."""
    complaints = [
        f"memory of {one.service} {one.pid}: {one.warm_mb:.1f} -> {one.last_mb:.1f} MB"
        for one in grown
        if one.last_mb > one.warm_mb * (1 + GROWTH) + GROWTH_MB
    ]
    for worker in after.workers:
        for name, more in (("threads", MORE_THREADS), ("files", MORE_FILES), ("redis", MORE_REDIS)):
            most = max(getattr(one, name) for one in before.workers if one.service == worker.service)
            if getattr(worker, name) > most + more:
                complaints.append(f"{name} of {worker.service} {worker.pid}: {most} -> {getattr(worker, name)}")
    for moment in (before, after):
        if moment.subscriptions != workers:
            complaints.append(f"{moment.subscriptions} subscriptions of {workers} workers")
    if len(after.workers) != workers:
        complaints.append(f"{len(after.workers)} of {workers} workers")
    return complaints
