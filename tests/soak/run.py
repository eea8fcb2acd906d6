"""Run one soak: callers and faults at the same time, between two quiet phases."""

import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from soak.callers import ANSWER_SECONDS, EARLY, FOLLOW_SECONDS, GUARDED, INSTANT, SHORT, Caller
from soak.faults import Faults
from soak.judge import Judge
from soak.quiet import burst, trickle
from soak.report import Findings, figures, tables
from soak.resources import Calm, Sampler, calm
from soak.theeye import SoakTheEye
from soak.world import World, world_of
from support.processes import Service
from support.workflows import FIRST, SECOND

CALLERS = 60
JUDGED_MINUTES = 5.0  # below this nothing says whether memory is flat
STRUCK = ((0.0, 0.45), (0.55, 0.95))  # the share of the time in which each service's workers are struck


@dataclass(frozen=True)
class Options:
    """Hold the options of the command line."""

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
    """Run one soak."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._found = Findings(options.seed, options.workers, CALLERS, options.judges_growth)
        self._books = self._found.books
        self._soaking = time.monotonic()
        self._faults: Faults | None = None

    def run(self) -> int:
        """Soak, print and write the report, and return the exit code."""
        options, found = self._options, self._found
        with world_of(found.windows, self._theeye, options.workers, random.Random(options.seed)) as world:
            try:
                self._run(world)
            except KeyboardInterrupt:
                self._interrupt(world)
            found.seconds = time.monotonic() - self._soaking
            found.tracebacks = [where for service in world.services.values() for where in tracebacks(service)]
        self._books.close(older=0)
        found.judge_growth(warm_up=options.seconds / 4)
        print("\n" + tables(found))
        if options.out:
            options.out.write_text(json.dumps(figures(found), indent=1))
        return found.exit_code()

    def _interrupt(self, world: World) -> None:
        """Stop the running calls, but remove every fault."""
        self._found.interrupted = self._books.shut = True
        world.stop.set()
        if self._faults and self._faults.is_alive():
            self._faults.join(60)

    def _theeye(self, redis_url: str) -> SoakTheEye:
        theeye = SoakTheEye(redis_url, self._books, self._found.windows)
        for task, delay in {INSTANT: 0.0, **SHORT}.items():
            theeye.task(task, delay=delay)
        theeye.task(EARLY, early=True)
        theeye.task(GUARDED, delay=0.2, history=5)
        for step in (FIRST, SECOND):
            theeye.task(step, delay=0.3)
        theeye.workflow()
        return theeye

    def _run(self, world: World) -> None:
        judge = Judge(self._books, self._found.windows, world.theeye)
        callers = [Caller(number, world, self._books, judge, self._options.seed) for number in range(CALLERS)]
        burst(world, self._books, CALLERS)
        self._found.before = self._calmed(world)
        self._soaking = time.monotonic()
        world.strikeable = lambda: self._strikeable(world)
        self._found.sampler = Sampler(world, self._soaking, 10 if self._options.judges_growth else 2)
        gap = (3.0, 9.0) if self._options.judges_growth else (0.5, 2.0)
        self._faults = Faults(world, gap, lambda words: self._books.complain(self._books.lost, words))
        for thread in (*callers, self._faults, self._found.sampler):
            thread.start()
        self._soak(world, callers, self._faults)
        self._found.after = self._calmed(world)

    def _soak(self, world: World, callers: Sequence[Caller], faults: Faults) -> None:
        """Wait until the time is over, and then until all callers have their answers."""
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
        """Return the services whose workers may be struck: at first only one, so that the workers of all live long."""
        share = (time.monotonic() - self._soaking) / self._options.seconds
        if not self._options.judges_growth:
            return list(world.services)
        parts = dict(zip(world.services, STRUCK, strict=False))
        return [name for name, (start, end) in parts.items() if start <= share < end]

    def _calmed(self, world: World) -> Calm:
        trickle(world, self._books, 10 if self._options.judges_growth else 2)
        return calm(world, self._soaking)


def tracebacks(service: Service) -> list[str]:
    """Return each traceback of a service's log with the lines before and after it."""
    lines = service.log_text().splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("Traceback")]
    return ["\n".join(lines[max(start - 2, 0) : start + 30]) for start in starts]
