"""Run the callers of the soak: short and long tasks, with and without keys, some of which disconnect."""

import random
import threading
import time
import traceback
from collections.abc import Callable

from soak.books import ABANDONED, BROKEN, LATER, LOST, REFUSED, RIGHT, UNKNOWN, Books, Page
from soak.judge import Judge, Verdict
from soak.world import World
from support.load import RawClient, request_bytes
from support.workflows import WORKFLOW, WORKFLOW_JOB

ANSWER_SECONDS = 60.0  # above all that a call may take: 30 s to wait, and a few calls to TheEye of 5 s each
FOLLOW_SECONDS = 90.0
AGAIN = "keyed, repeated"

INSTANT, EARLY, GUARDED = (f"61f3e937c38201da80f9{number:04x}" for number in (1, 2, 3))
SHORT = {f"61f3e937c38201da80f9{16 + number:04x}": delay for number, delay in enumerate((0.1, 0.3, 0.8, 1.5, 3.0))}
LONG = [task for task, delay in SHORT.items() if delay >= 1.5]


def path_of(task: str) -> str:
    return WORKFLOW_JOB if task == WORKFLOW else f"/acme/task/{task}/job"


class Caller(threading.Thread):
    """Call and call again, in one way at a time."""

    def __init__(self, number: int, world: World, books: Books, judge: Judge, seed: int) -> None:
        super().__init__(name=f"soak-caller-{number}", daemon=True)
        self._world, self._books, self._judge = world, books, judge
        self._rng = random.Random(f"{seed}-{number}")
        self._ways: list[tuple[int, Callable[[], None]]] = [
            (10, lambda: self._plain("ends at once", INSTANT)),
            (10, lambda: self._plain("ends before its create is answered", EARLY)),
            (22, lambda: self._plain("0.1 to 3 s", self._rng.choice(list(SHORT)))),
            (12, lambda: self._plain("guarded", GUARDED)),
            (10, lambda: self._plain("workflow of two steps", WORKFLOW)),
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
        """Repeat a third on purpose: after an answer, after disconnecting, or at the same moment."""
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
        """Send one POST, followed by GETs if the answer says so; return the outcome."""
        verdict = self._judged(page, self._send(page, task, query, **headers))
        if verdict.outcome == LATER:
            verdict = self._follow(page, task)
        return self._note(page, verdict, again)

    def _twice(self, page: Page, task: str, **headers: str) -> str:
        clients = [self._send(page, task, **headers) for _ in range(2)]
        verdicts = [self._judged(page, client) for client in clients]
        for number, verdict in enumerate(verdicts):
            self._note(page, verdict, again=AGAIN if number else "")
        return max((verdict.outcome for verdict in verdicts), key=[LOST, UNKNOWN, BROKEN, REFUSED, RIGHT].index)

    def _abandon(self, page: Page, task: str, query: str = "", **headers: str) -> None:
        client = self._send(page, task, query, **headers)
        if client:
            self._world.stop.wait(self._rng.choice([0, self._rng.uniform(0, 1.5)]))
            client.leave(self._rng.random() < 0.5)
        self._books.note(page, ABANDONED if client else REFUSED)

    def _note(self, page: Page, verdict: Verdict, again: str) -> str:
        if verdict.outcome == LATER:  # nobody asked for that
            verdict = Verdict(LOST, "told to come back")
        self._books.note(page, verdict.outcome, again, verdict.why)
        return verdict.outcome

    def _judged(self, page: Page, client: RawClient | None) -> Verdict:
        return self._judge.judge(page, client.answer()) if client else Verdict(REFUSED)

    def _follow(self, page: Page, task: str) -> Verdict:
        """Read a job's answer until there is one; try again after a temporary failure."""
        give_up = time.monotonic() + FOLLOW_SECONDS
        target = f"{path_of(task)}/{page.jobs[0]}"
        while True:
            client = self._connect(request_bytes(method="GET", target=target))
            verdict = self._judge.judge_look(page, client.answer()) if client else Verdict(REFUSED)
            if verdict.outcome in (RIGHT, LOST):
                return verdict
            if time.monotonic() > give_up:
                return Verdict(LOST, f"no answer to GET {target} in {FOLLOW_SECONDS} s, at last {verdict}")
            self._world.stop.wait(0.5)

    def _send(self, page: Page, task: str, query: str = "", **headers: str) -> RawClient | None:
        return self._connect(request_bytes(page.argument, query, target=path_of(task), **headers))

    def _connect(self, data: bytes) -> RawClient | None:
        service = self._rng.choice(list(self._world.services.values()))
        try:
            return RawClient(service, data, timeout=ANSWER_SECONDS)
        except ConnectionRefusedError:
            return None
