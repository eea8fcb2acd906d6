"""Test processes that are stopped, reloaded and killed, clients that disconnect, and too many clients."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.load import (
    JOB,
    Fleet,
    Got,
    Load,
    RawClient,
    Recorder,
    check,
    fleet,
    get,
    lateness,
    request_bytes,
    run,
    settle,
    why_not_time_is_up,
    why_wrong,
)
from support.proc import connections, open_files
from support.processes import Redis, Service, wait_until
from support.theeye import Late, Reply

RUDE = 40


# -- the end of a process ------------------------------------------------------------------------------------


def signal_all(services: Fleet, number: int) -> float:
    for service in services.values():
        service.signal(number)
    return time.monotonic()


@pytest.mark.settings(workers=2)
def test_sigterm_when_the_jobs_end_in_time(theeye: Recorder, services: Fleet) -> None:
    theeye.task(delay=2.0)
    loads = services.park(200)
    signal_all(services, signal.SIGTERM)
    settle("SIGTERM, the jobs end within the grace", theeye, loads)
    for service in services.values():
        assert service.wait(20) == 0


@pytest.mark.settings(workers=2, grace_seconds=2)
def test_sigterm_when_the_grace_is_over(theeye: Recorder, services: Fleet) -> None:
    theeye.task(delay=None)
    loads = services.park(200)
    began = signal_all(services, signal.SIGTERM)
    settle("SIGTERM, the grace of 2 s is over: ETIMEISUP", theeye, loads, why_not_time_is_up, began)
    for service in services.values():
        assert service.wait(20) == 0


@pytest.mark.settings(grace_seconds=0.5, call_timeout=5)
def test_sigterm_while_the_supervisor_is_frozen(theeye: Recorder, services: Fleet) -> None:
    theeye.task(delay=None)
    loads = services.park(100)
    theeye.freeze()
    for job in theeye.jobs:
        theeye.finish(job)
    theeye.wait_for_calls("read", 200)
    began = signal_all(services, signal.SIGTERM)
    fault = "SIGTERM while the supervisor is frozen, looks of 5 s under way: ETIMEISUP"
    settle(fault, theeye, loads, why_not_time_is_up, began)


@pytest.mark.settings(workers=2)
def test_sighup_when_the_jobs_end_in_time(theeye: Recorder, services: Fleet) -> None:
    theeye.task(delay=None)
    loads = services.park(200)
    parked = list(theeye.jobs)
    signal_all(services, signal.SIGHUP)
    for job in parked:
        theeye.finish(job)
    theeye.task(delay=0.3)
    meanwhile = services.send(50)
    settle("SIGHUP, the jobs end within the grace", theeye, loads)
    settle("SIGHUP, requests that come meanwhile", theeye, meanwhile)


@pytest.mark.settings(workers=2, grace_seconds=2)
def test_sighup_when_the_grace_is_over(theeye: Recorder, services: Fleet) -> None:
    theeye.task(delay=None)
    loads = services.park(200)
    began = signal_all(services, signal.SIGHUP)
    settle("SIGHUP, the grace of 2 s is over: ETIMEISUP", theeye, loads, why_not_time_is_up, began)


@pytest.mark.settings(workers=2)
def test_a_worker_is_killed(theeye: Recorder, services: Fleet) -> None:
    theeye.task(delay=None)
    loads = services.park(200)
    parked = list(theeye.jobs)
    shares = {name: kill_one_worker(service) for name, service in services.items()}
    theeye.task()
    later = services.send(100)
    for job in parked:
        theeye.finish(job)
    for worker, load in loads.items():
        rest = [one for one in load.all() if not one.error]
        right = sum(not why_wrong(theeye, one) for one in rest)
        latest = max(lateness(theeye, one) for one in rest)
        check("one of two workers killed (SIGKILL): the other's waits", worker, len(rest), right, latest)
        assert len(load) - len(rest) == shares[worker]
    settle("one of two workers killed: requests from then on", theeye, later)
    for service in services.values():
        wait_until(lambda service=service: len(service.worker_pids()) == 2, 20, "a new worker")


def kill_one_worker(service: Service) -> int:
    """Kill the worker with fewer waits; return their number."""
    shares = {pid: len(connections(pid, service.port)) for pid in service.worker_pids()}
    assert sum(shares.values()) == 200
    victim = min((pid for pid in shares if shares[pid]), key=lambda pid: shares[pid])
    os.kill(victim, signal.SIGKILL)
    return shares[victim]


# -- clients that go -----------------------------------------------------------------------------------------

PLACES = 40


@pytest.mark.settings(max_waiting=PLACES)
def test_clients_that_go_free_their_places(theeye: Recorder, services: Fleet) -> None:
    for worker, service in services.items():
        theeye.task(delay=None)
        before = len(theeye.jobs)
        clients = [RawClient(service, request_bytes(f"g{number}")) for number in range(PLACES)]
        theeye.wait_for_jobs(before + PLACES)
        assert run(service).status == 503
        began = time.monotonic()
        for number, client in enumerate(clients):
            client.leave(reset=number % 2 == 0)
        right, latest = refill(theeye, service, began)
        check("clients gone: their slots taken by others", worker, PLACES, right, latest)
        assert "Traceback" not in service.log_text()
    assert theeye.calls_of("cancel") == []
    assert number_of(theeye, list(theeye.jobs), "ready") == 2 * PLACES, "the jobs go on"


def refill(theeye: Recorder, service: Service, began: float, places: int = PLACES) -> tuple[int, float]:
    """Take all slots again; return the number of answered requests, and the seconds since the clients had gone."""
    known = len(theeye.jobs)
    with ThreadPoolExecutor(places) as pool:
        answers = [pool.submit(take_slot, service) for _ in range(places)]
        jobs = theeye.wait_for_jobs(known + places)[known:]
        freed = time.monotonic() - began
        for job in jobs:
            theeye.finish(job)
        return sum(not why_wrong(theeye, answer.result()) for answer in answers), freed


def take_slot(service: Service) -> Got:
    """Run a task as soon as a slot is free: the slots of clients that have gone may be freed one after the other."""
    deadline = time.monotonic() + 20
    while (got := run(service)).status == 503 and time.monotonic() < deadline:
        pass
    return got


@pytest.mark.settings(max_waiting=1)
def test_a_client_that_goes_during_the_create(theeye: Recorder, services: Fleet) -> None:
    theeye.task(delay=None)
    theeye.fault("create", Late(1.5), times=2)
    began = time.monotonic()
    for service in services.values():
        RawClient(service, request_bytes()).leave()
    theeye.wait_for_jobs(2)
    for worker, service in services.items():
        right, latest = refill(theeye, service, began, places=1)
        check("client gone while its job is created: its slot taken by another", worker, 1, right, latest - 1.5)


def test_clients_that_go_and_cancel(theeye: Recorder, services: Fleet) -> None:
    for service in services.values():
        assert run(service, "on_disconnect=cancel", Idempotency_Key="k").status == 400
    assert theeye.calls_of("create") == []
    theeye.task(delay=None)
    parked = {worker: park_to_cancel(theeye, service) for worker, service in services.items()}
    began = time.monotonic()
    for clients, _ in parked.values():
        for client in clients:
            client.leave()
    back = {
        worker: RawClient(service, request_bytes(method="GET", target=f"{JOB}/{parked[worker][1][0]}"))
        for worker, service in services.items()
    }
    theeye.wait_for_calls("cancel", 2 * (PLACES - 1))
    for worker, (_, jobs) in parked.items():
        check_cancelled(theeye, worker, jobs, began)
        theeye.finish(jobs[0], output=["came back"])
        answer = back[worker].read()
        assert (answer.status, answer.body) == (200, b'["came back"]'), "a client that came back keeps its job"


def park_to_cancel(theeye: Recorder, service: Service) -> tuple[list[RawClient], list[str]]:
    """Park clients that want their jobs cancelled when they disconnect; yield them and their jobs."""
    before = len(theeye.jobs)
    data = [request_bytes(f"c{number}", "on_disconnect=cancel") for number in range(PLACES)]
    clients = [RawClient(service, one) for one in data]
    return clients, theeye.wait_for_jobs(before + PLACES)[before:]


def check_cancelled(theeye: Recorder, worker: str, jobs: list[str], began: float) -> None:
    """Check that all jobs but the first are cancelled, and not too early."""
    wait_until(lambda: number_of(theeye, jobs, "canceled") == PLACES - 1, 20, "all cancelled")
    at = [call.at - began for call in theeye.calls_of("cancel") if call.path.split("/")[3] in jobs]
    fault = "clients gone with on_disconnect=cancel: jobs cancelled"
    check(fault, worker, PLACES - 1, number_of(theeye, jobs, "canceled"), max(at))
    assert len(at) == PLACES - 1
    assert min(at) > 2.5


def number_of(theeye: Recorder, jobs: list[str], lifecycle: str) -> int:
    return sum(theeye.jobs[job]["lifecycle"] == lifecycle for job in jobs)


# -- too many ------------------------------------------------------------------------------------------------


@pytest.mark.settings(max_waiting=100)
def test_too_many(theeye: Recorder, services: Fleet) -> None:
    theeye.task(delay=None)
    loads = services.park(100)
    for worker, service in services.items():
        before = len(theeye.calls_of("create"))
        began = time.monotonic()
        refused = Load(service, 100).all()
        right = [got for got in refused if (got.status, got.code) == (503, "EBUSY")]
        check("all 100 slots taken: refused with 503", worker, 100, len(right), max(got.at for got in refused) - began)
        assert all(got.response and got.response.header("Retry-After") for got in right)
        assert len(theeye.calls_of("create")) == before
        healthy = [timed(service, path) for path in ("/healthz", "/readyz", "/api/status") for _ in range(20)]
        right = [took for status, took in healthy if status == 200]
        check("all 100 slots taken: health is answered", worker, 60, len(right), max(right))
    for job in theeye.jobs:
        theeye.finish(job)
    settle("all 100 slots taken: those that have one", theeye, loads)


def timed(service: Service, path: str) -> tuple[int, float]:
    began = time.monotonic()
    return get(service, path).status, time.monotonic() - began


@pytest.mark.settings(max_waiting=20)
def test_health_while_many_ask_for_results_that_cannot_be_read(theeye: Recorder, services: Fleet) -> None:
    theeye.task(delay=None)
    assert run(services["gevent"], "wait=0").status == 504
    theeye.fault("read", Reply(500, {}))
    data = request_bytes(
        method="GET", target=f"{JOB}/{next(iter(theeye.jobs))}", query="wait=30", Connection="keep-alive"
    )
    readers = [RawClient(service, data) for service in services.values() for _ in range(100)]
    theeye.wait_for_calls("read", 160)
    healthy = {worker: timed(service, "/healthz") for worker, service in services.items()}
    for reader in readers:
        reader.leave()
    for worker, (status, took) in healthy.items():
        check("100 readers of a job that cannot be read: health is answered", worker, 1, int(status == 200), took)


@pytest.mark.parametrize("kind", ["gevent", "gthread"])
def test_clients_that_do_not_hang_up(kind: str, theeye: Recorder, redis_server: Redis) -> None:
    with fleet(theeye, redis_server.url, kinds=[kind]) as services:
        theeye.task(delay=0.5)
        clients = [RawClient(services[kind], request_bytes(f"h{number}")) for number in range(RUDE)]
        answers = [client.sock.recv(4096)[:15] for client in clients]
        status, took = timed(services[kind], "/healthz")
        for client in clients:
            client.leave()
        check(f"{RUDE} clients that do not hang up: health is answered", kind, 1, int(status == 200), took)
        assert answers == [b"HTTP/1.1 200 OK"] * RUDE


# -- nothing piles up ----------------------------------------------------------------------------------------


@pytest.mark.settings(workers=1)
def test_nothing_piles_up(theeye: Recorder, services: Fleet) -> None:
    services.warm()
    pids = {worker: service.worker_pids()[0] for worker, service in services.items()}
    before = {worker: usage(pid) for worker, pid in pids.items()}
    for _ in range(2):
        theeye.task(delay=0.5)
        settle("no fault: threads and files counted", theeye, services.park(300))
    theeye.task()
    for worker, pid in pids.items():
        most = before[worker][1] + 10
        wait_until(lambda pid=pid, most=most: settled(services, pid, most), 30, f"{worker}: {most} files")
        threads, _ = usage(pid)
        assert threads <= (before[worker][0] + 10 if worker == "gevent" else 664 + 10)  # gevent resolves names in 10


def settled(services: Fleet, pid: int, most: int) -> bool:
    """Return whether only so many files are open; idle upstream connections are closed after 3 s, by some traffic."""
    services.warm()
    return usage(pid)[1] <= most


def usage(pid: int) -> tuple[int, int]:
    """Return the number of threads and open files of a process."""
    return len(list(Path(f"/proc/{pid}/task").iterdir())), len(open_files(pid))


def test_one_subscription_a_process() -> None:
    with Redis() as redis, Recorder(redis.url) as theeye, fleet(theeye, redis.url, workers=3) as services:
        theeye.task(delay=0.5)
        client = redis.client()

        def listeners() -> list[Any]:
            settle("no fault, three workers: one subscription each", theeye, services.send(200))
            # not PUBSUB NUMPAT: from Redis 7 on it counts a pattern once, however many subscribe to it
            return list(client.client_list(_type="pubsub"))

        wait_until(lambda: len(listeners()) == 6, 60, "a request at each worker: the kernel distributes them")
        found = listeners()
        assert len(found) == 6, "one for each worker process"
        assert len({listener["psub"] for listener in found}) == 1
        calls = client.info("commandstats")["cmdstat_psubscribe"]["calls"]
        assert calls == 2 * 6, "to workflows and to jobs, which older rules of Redis refuse apart; never again"
