"""Strike at a service's workers: kill one, or replace all, and return when there are as many again."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from soak.world import World
from support.proc import accepts, connections
from support.processes import wait_until

UNTIL_REPLACED = 60.0  # gunicorn lets the old workers finish for 35 s at the most


def kill_worker(world: World, name: str) -> None:
    service = world.services[name]
    victim = world.rng.choice(sorted(service.worker_pids()))
    os.kill(victim, signal.SIGSTOP)  # so that what it holds is what it takes with it
    status = Path(f"/proc/{victim}/status")
    wait_until(lambda: "State:\tT" in status.read_text(), 20, "the worker to stop")
    world.windows.cut |= {(name, client.remote_port) for client in connections(victim, service.port)}
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
