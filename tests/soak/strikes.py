"""Strikes at a service's workers: one is killed, or all are replaced; returns once there are as many again."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from soak.world import World
from support.processes import accepts, wait_until

UNTIL_REPLACED = 60.0  # gunicorn lets the old workers finish for 35 s at the most


def kill_worker(world: World, name: str) -> None:
    service = world.services[name]
    victim = world.rng.choice(sorted(service.worker_pids()))
    os.kill(victim, signal.SIGSTOP)  # so that what it holds is what it takes with it
    world.windows.cut |= {(name, port) for port in clients_of(victim, service.port)}
    os.kill(victim, signal.SIGKILL)
    wait_for_workers(world, name, {victim})


def reload_service(world: World, name: str) -> None:
    service = world.services[name]
    old = set(service.worker_pids())
    service.signal(signal.SIGHUP)
    wait_for_workers(world, name, old)


def wait_for_workers(world: World, name: str, gone: set[int]) -> None:
    """Wait until the service has all its workers again, none of them one of the old."""
    service = world.services[name]

    def replaced() -> bool:
        with suppress(OSError):
            pids = service.worker_pids()
            ready = [pid for pid in pids if accepts(pid, service.port)]
            return len(pids) == len(ready) == world.workers[name] and not gone & set(pids)
        return False

    wait_until(replaced, UNTIL_REPLACED, f"new workers of {name}")


def clients_of(pid: int, port: int) -> set[int]:
    """Return the ports of the clients whose connections to this port a worker holds."""
    held = links(pid)
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    mine = [line for line in lines if line[1].endswith(f":{port:04X}") and f"socket:[{line[9]}]" in held]
    return {int(line[2].rpartition(":")[2], 16) for line in mine}


def links(pid: int) -> list[str]:
    """Return what the open files of a process are."""
    found = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(path.readlink()))
    return found
