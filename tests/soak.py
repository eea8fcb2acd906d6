"""The soak: many callers with mixed tasks, one fault after the other, and books that must balance at the end.

python tests/soak.py [--minutes 20] [--seed N] [--worker gevent|gthread] [--out FILE.json]

Exits with 1 when a call was lost, a request was run twice, or a worker's memory, threads, files or subscriptions grew.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import struct
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from load import request_bytes
from servers import Service, read_response
from soak_books import (
    ABANDONED,
    BROKEN,
    LATER,
    LOST,
    OUTCOMES,
    REFUSED,
    RIGHT,
    UNKNOWN,
    Books,
    Exchange,
    Judge,
    Page,
    SoakTheEye,
    Verdict,
    Windows,
)
from soak_faults import Faults, World, world_of
from soak_resources import Calm, Growth, Sampler, calm, growths, not_flat

CALLERS = 60
WORKERS = {"gevent": 2, "gthread": 1}
ANSWER_SECONDS = 60.0  # above all that a call may take: 30 s to wait, and a few calls to TheEye of 5 s each
FOLLOW_SECONDS = 90.0
AGAIN = "keyed, repeated"
JUDGED_MINUTES = 5.0  # below this nothing says whether memory is flat

INSTANT, EARLY, GUARDED = (f"61f3e937c38201da80f9{number:04x}" for number in (1, 2, 3))
SHORT = {f"61f3e937c38201da80f9{16 + number:04x}": delay for number, delay in enumerate((0.1, 0.3, 0.8, 1.5, 3.0))}
LONG = [task for task, delay in SHORT.items() if delay >= 1.5]


def path_of(task: str) -> str:
    return f"/acme/task/{task}/job"


class Connection:
    """A call under way."""

    def __init__(self, name: str, service: Service, data: bytes) -> None:
        self._name = name
        self.sent = time.monotonic()
        self._sock = socket.create_connection(("127.0.0.1", service.port), 10)
        self._port = self._sock.getsockname()[1]
        self._sock.settimeout(ANSWER_SECONDS)
        self._error = ""
        try:
            self._sock.sendall(data)
        except OSError as error:
            self._error = repr(error)

    def leave(self, reset: bool) -> None:
        if reset:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def answer(self) -> Exchange:
        try:
            with self._sock, self._sock.makefile("rb") as stream:
                response = read_response(stream)
        except (OSError, ValueError, IndexError) as error:
            return Exchange(self._name, self._port, self.sent, time.monotonic(), error=self._error or repr(error))
        return Exchange(self._name, self._port, self.sent, time.monotonic(), response)


class Caller(threading.Thread):
    """Calls, and calls again, in one of the ways at a time."""

    def __init__(self, number: int, world: World, books: Books, judge: Judge, seed: int) -> None:
        super().__init__(name=f"soak-caller-{number}", daemon=True)
        self._world, self._books, self._judge = world, books, judge
        self._rng = random.Random(f"{seed}-{number}")
        self._ways: list[tuple[int, Callable[[], None]]] = [
            (10, lambda: self._plain("ends at once", INSTANT)),
            (10, lambda: self._plain("ends before its create is answered", EARLY)),
            (22, lambda: self._plain("0.1 to 3 s", self._rng.choice(list(SHORT)))),
            (12, lambda: self._plain("guarded", GUARDED)),
            (18, self._keyed),
            (9, lambda: self._plain("?wait=1, then GET", self._rng.choice(LONG), query="wait=1")),
            (9, lambda: self._plain("respond-async, then GET", self._rng.choice(list(SHORT)), Prefer="respond-async")),
            (10, self._hang_up),
        ]

    def run(self) -> None:
        weights, ways = zip(*self._ways, strict=True)
        while not self._world.stop.wait(self._rng.uniform(0, 1.0)):
            try:
                self._rng.choices(ways, weights)[0]()
            except Exception:  # noqa: BLE001 - told, and counted
                self._books.complain(self._books.lost, f"a caller failed: {traceback.format_exc()}")

    # -- the ways ------------------------------------------------------------------------------------

    def _plain(self, kind: str, task: str, query: str = "", **headers: str) -> None:
        page = self._books.open(kind)
        self._call(page, task, query, **headers)
        self._books.settle(page)

    def _hang_up(self) -> None:
        page = self._books.open("hangs up")
        query = self._rng.choice(["", "", "on_disconnect=cancel"])
        self._abandon(page, self._rng.choice([*SHORT, GUARDED, INSTANT]), query)
        self._books.settle(page)

    def _keyed(self) -> None:
        """A third is repeated on purpose: after an answer, after hanging up, or at the same moment."""
        page = self._books.open("keyed")
        task, key = self._rng.choice([*SHORT, INSTANT, EARLY]), {"Idempotency_Key": f"key-{page.argument}"}
        how = self._rng.choices(["once", "again", "after hanging up", "at once"], [6, 1, 1, 1])[0]
        if how == "after hanging up":
            self._abandon(page, task, **key)
            outcome = self._call(page, task, again=AGAIN, **key)
        elif how == "at once":
            outcome = self._twice(page, task, **key)
        else:
            outcome = self._call(page, task, **key)
        if how == "again":
            self._world.pause(0, 2)
            outcome = self._call(page, task, again=AGAIN, **key)
        for _ in range(2):
            if outcome not in (REFUSED, UNKNOWN, BROKEN) or self._world.stop.is_set():
                break
            self._world.pause(0.5, 3)
            outcome = self._call(page, task, again=AGAIN, **key)
        self._books.settle(page)

    # -- calls ---------------------------------------------------------------------------------------

    def _call(self, page: Page, task: str, query: str = "", again: str = "", **headers: str) -> str:
        """One POST, followed by GETs where it is told to come back; its outcome."""
        connection = self._send(page, task, query, **headers)
        verdict = self._judged(page, connection)
        if verdict.outcome == LATER:
            verdict = self._follow(page, task)
        return self._note(page, verdict, again)

    def _twice(self, page: Page, task: str, **headers: str) -> str:
        connections = [self._send(page, task, **headers) for _ in range(2)]
        verdicts = [self._judged(page, connection) for connection in connections]
        for number, verdict in enumerate(verdicts):
            self._note(page, verdict, again=AGAIN if number else "")
        return max((verdict.outcome for verdict in verdicts), key=[LOST, UNKNOWN, BROKEN, REFUSED, RIGHT].index)

    def _abandon(self, page: Page, task: str, query: str = "", **headers: str) -> None:
        connection = self._send(page, task, query, **headers)
        if connection:
            self._world.stop.wait(self._rng.choice([0, self._rng.uniform(0, 1.5)]))
            connection.leave(self._rng.random() < 0.5)
        self._books.note(page, ABANDONED if connection else REFUSED)

    def _note(self, page: Page, verdict: Verdict, again: str) -> str:
        if verdict.outcome == LATER:  # nobody asked for that
            verdict = Verdict(LOST, "told to come back")
        self._books.note(page, verdict.outcome, again, verdict.why)
        return verdict.outcome

    def _judged(self, page: Page, connection: Connection | None) -> Verdict:
        return self._judge.judge(page, connection.answer()) if connection else Verdict(REFUSED)

    def _follow(self, page: Page, task: str) -> Verdict:
        """Asks for a job's answer until there is one; what fails in passing is asked again."""
        self._books.note_followed()
        give_up = time.monotonic() + FOLLOW_SECONDS
        while True:
            target = f"{path_of(task)}/{page.jobs[0]}"
            connection = self._connect(request_bytes(method="GET", target=target))
            verdict = self._judged_look(page, connection)
            if verdict.outcome in (RIGHT, LOST):
                return verdict
            if time.monotonic() > give_up:
                return Verdict(LOST, f"no answer to GET {target} in {FOLLOW_SECONDS} s, at last {verdict}")
            self._world.stop.wait(0.5)

    def _judged_look(self, page: Page, connection: Connection | None) -> Verdict:
        if connection is None:
            return Verdict(REFUSED)
        return self._judge.judge_look(page, connection.answer())

    def _send(self, page: Page, task: str, query: str = "", **headers: str) -> Connection | None:
        return self._connect(request_bytes(page.argument, query, target=path_of(task), **headers))

    def _connect(self, data: bytes) -> Connection | None:
        name = self._rng.choice(list(self._world.services))
        try:
            return Connection(name, self._world.services[name], data)
        except ConnectionRefusedError:
            return None


# -- the run -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    minutes: float
    seed: int
    workers: dict[str, int]
    out: Path | None

    @property
    def seconds(self) -> float:
        return self.minutes * 60

    @property
    def judges_growth(self) -> bool:
        return self.minutes >= JUDGED_MINUTES


class Soak:
    """One run."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._windows = Windows()
        self._books = Books()
        self._began = time.monotonic()
        self._soaking = self._ended = self._began
        self._grown: list[Growth] = []
        self._before = self._after = Calm([], 0)
        self._sampler: Sampler | None = None
        self._faults: Faults | None = None
        self._tracebacks: list[str] = []
        self._interrupted = False

    def run(self) -> int:
        with world_of(self._windows, self._theeye, self._options.workers, random.Random(self._options.seed)) as world:
            try:
                self._run(world)
            except KeyboardInterrupt:
                self._interrupt(world)
            self._ended = time.monotonic()
            self._tracebacks = [where for service in world.services.values() for where in tracebacks(service)]
        self._books.close(older=0)
        return self._report()

    def _interrupt(self, world: World) -> None:
        """Calls under way are given up, but no fault is left unhealed."""
        self._interrupted = self._books.shut = True
        world.stop.set()
        if self._faults and self._faults.is_alive():
            self._faults.join(60)

    def _theeye(self, redis_url: str) -> SoakTheEye:
        theeye = SoakTheEye(redis_url, self._books, self._windows)
        for task, delay in {INSTANT: 0.0, **SHORT}.items():
            theeye.task(task, delay=delay)
        theeye.task(EARLY, early=True)
        theeye.task(GUARDED, delay=0.2, history=5)
        return theeye

    def _run(self, world: World) -> None:
        judge = Judge(self._books, self._windows, world.theeye)
        callers = [Caller(number, world, self._books, judge, self._options.seed) for number in range(CALLERS)]
        burst(world, self._books)
        self._before = self._calmed(world)
        self._soaking = time.monotonic()
        world.strikeable = lambda: self._strikeable(world)
        self._sampler = Sampler(world, self._soaking, 10 if self._options.judges_growth else 2)
        gap = (3.0, 9.0) if self._options.judges_growth else (0.5, 2.0)
        self._faults = Faults(world, gap, lambda words: self._books.complain(self._books.lost, words))
        for thread in (*callers, self._faults, self._sampler):
            thread.start()
        self._keep_house(world, callers, self._faults)
        self._after = self._calmed(world)

    def _keep_house(self, world: World, callers: Sequence[Caller], faults: Faults) -> None:
        """Until the time is over, and then until all callers have their answers."""
        while time.monotonic() < self._soaking + self._options.seconds:
            time.sleep(1)
            self._books.close()
            world.theeye.prune()
        world.stop.set()
        faults.join(120)
        deadline = time.monotonic() + ANSWER_SECONDS + FOLLOW_SECONDS + 30
        for caller in callers:
            caller.join(max(deadline - time.monotonic(), 0))
        for caller in callers:
            if caller.is_alive():
                self._books.complain(self._books.lost, f"{caller.name} still waits")

    def _strikeable(self, world: World) -> list[str]:
        """One service's workers are struck in the first part, the other's in the last: each has a long quiet life."""
        share = (time.monotonic() - self._soaking) / self._options.seconds
        if not self._options.judges_growth:
            return list(world.services)
        parts = dict(zip(world.services, ((0.0, 0.45), (0.55, 0.95)), strict=False))
        return [name for name, (start, end) in parts.items() if start <= share < end]

    def _calmed(self, world: World) -> Calm:
        trickle(world, self._books, 10 if self._options.judges_growth else 2)
        return calm(world, self._soaking)

    # -- the report ----------------------------------------------------------------------------------

    def _report(self) -> int:
        complaints = self._not_flat()
        print("\n" + self._tables(complaints))
        if self._options.out:
            self._options.out.write_text(json.dumps(self._figures(complaints), indent=1))
        if self._interrupted:
            return 130
        return int(bool(self._books.lost or self._books.doubled or complaints))

    def _not_flat(self) -> list[str]:
        if not self._options.judges_growth or self._interrupted or not self._sampler:
            return []
        self._grown = growths(self._sampler.samples, self._options.seconds / 4)
        return not_flat(self._before, self._after, self._grown, sum(self._options.workers.values()))

    def _tables(self, complaints: list[str]) -> str:
        books, minutes = self._books, (self._ended - self._soaking) / 60
        stopped = " (interrupted)" if self._interrupted else ""
        lines = [f"soak of {minutes:.1f} minutes{stopped}, seed {self._options.seed}, {CALLERS} callers", ""]
        lines += [*calls_table(books), "", *faults_table(self._windows, books), "", *self._resources_table(), ""]
        lines.append(f"requests {books.requests}, creates {books.creates}, answers fetched later {books.followed}")
        lines.append("told: " + ", ".join(f"{told} {count}" for told, count in sorted(books.told.items())))
        own = max(self._sampler.own_mb if self._sampler else [], default=0.0)
        lines.append(f"the soak itself: at most {own:.0f} MB and {books.most_pages} pages")
        lines += [f"tracebacks in the services' logs: {len(self._tracebacks)}", *self._tracebacks[:3]]
        judged = self._options.judges_growth and not self._interrupted
        flat = "; ".join(complaints) or ("yes" if judged else "not judged")
        return "\n".join([*lines, f"lost {len(books.lost)}, doubled {len(books.doubled)}, flat: {flat}"])

    def _resources_table(self) -> list[str]:
        lines = ["| worker | calm | RSS (MB) | threads | files | of them sockets | to Redis |"]
        lines.append("|---|---|---:|---:|---:|---:|---:|")
        for when, moment in (("before", self._before), ("after", self._after)):
            for one in moment.workers:
                numbers = f"{one.rss_mb:.1f} | {one.threads} | {one.files} | {one.sockets} | {one.redis}"
                lines.append(f"| {one.service} {one.pid} | {when} | {numbers} |")
        lines += ["", "| worker | minutes watched | RSS when warm (MB) | RSS at its end (MB) |", "|---|---:|---:|---:|"]
        for grown in self._grown:
            numbers = f"{grown.minutes:.1f} | {grown.warm_mb:.1f} | {grown.last_mb:.1f}"
            lines.append(f"| {grown.service} {grown.pid} | {numbers} |")
        lines += ["", f"subscriptions: {self._before.subscriptions} before, {self._after.subscriptions} after"]
        return lines

    def _figures(self, complaints: list[str]) -> dict[str, Any]:
        books, sampler = self._books, self._sampler
        return {
            "minutes": round((self._ended - self._soaking) / 60, 2),
            "seed": self._options.seed,
            "workers": self._options.workers,
            "calls": {kind: dict(outcomes) for kind, outcomes in books.outcomes.items()},
            "requests": books.requests,
            "creates": books.creates,
            "told": dict(books.told),
            "faults": dict(self._windows.counts()),
            "latest": books.late,
            "lost": books.lost,
            "doubled": books.doubled,
            "not_flat": complaints,
            "tracebacks": self._tracebacks,
            "calm": {"before": asdict(self._before), "after": asdict(self._after)},
            "growth": [asdict(grown) for grown in self._grown],
            "samples": [asdict(one) for one in sampler.samples] if sampler else [],
            "subscriptions": sampler.subscriptions if sampler else [],
            "own_mb": sampler.own_mb if sampler else [],
        }


def burst(world: World, books: Books) -> None:
    """Makes all pools and threads as many as they will be: more callers at once than there are later."""
    calls = [(service, number) for number in range(2 * CALLERS) for service in world.services.values()]
    with ThreadPoolExecutor(len(calls)) as pool:
        list(pool.map(lambda call: once(call[0], books, LONG[0], call[1]), calls))


def trickle(world: World, books: Books, seconds: float) -> None:
    """A little traffic: what is idle for too long is closed with it."""
    end = time.monotonic() + seconds
    with ThreadPoolExecutor(4) as pool:
        while time.monotonic() < end:
            for service in world.services.values():
                list(pool.map(lambda number, service=service: once(service, books, INSTANT, number), range(4)))
            time.sleep(0.2)


def once(service: Service, books: Books, task: str, number: int) -> None:
    """A call while nothing fails, every other one with a key."""
    page = books.open("calm")
    headers = {"Idempotency_Key": f"key-{page.argument}"} if number % 2 else {}
    exchange = Connection("", service, request_bytes(page.argument, target=path_of(task), **headers)).answer()
    right = exchange.body() == [page.argument] and exchange.job_id in page.jobs
    books.note(page, RIGHT if right else LOST, why=f"{exchange.error or exchange.response}")
    books.settle(page)


def tracebacks(service: Service) -> list[str]:
    """Each traceback of a service's log with what led to it and what follows."""
    lines = service.log_text().splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("Traceback")]
    return ["\n".join(lines[max(start - 2, 0) : start + 30]) for start in starts]


def calls_table(books: Books) -> list[str]:
    lines = [f"| calls | all | {' | '.join(OUTCOMES)} |", f"|---|---:|{'---:|' * len(OUTCOMES)}"]
    for kind, outcomes in [
        *sorted(books.outcomes.items()),
        ("all", sum(books.outcomes.values(), start=Counter[str]())),
    ]:
        counts = [str(outcomes[outcome]) for outcome in OUTCOMES]
        lines.append(f"| {kind} | {outcomes.total()} | {' | '.join(counts)} |")
    return lines


def faults_table(windows: Windows, books: Books) -> list[str]:
    lines = ["| fault | fired | latest answer after its job's end (s) |", "|---|---:|---:|"]
    for kind, count in [("none", 0), *sorted(windows.counts().items())]:
        late = f"{books.late[kind]:.2f}" if kind in books.late else ""
        lines.append(f"| {kind} | {count or ''} | {late} |")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--worker", choices=WORKERS, default=None, help="one kind of service instead of both")
    parser.add_argument("--out", type=Path, default=None, help="a file for all figures, as JSON")
    given = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    workers = {given.worker: WORKERS[given.worker]} if given.worker else WORKERS
    print(f"soaking for {given.minutes:g} minutes, seed {seed}", flush=True)
    return Soak(Options(given.minutes, seed, workers, given.out)).run()


if __name__ == "__main__":
    sys.exit(main())
