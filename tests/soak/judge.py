"""Decide what a call came to: right, refused, unknown, broken, later, gone; or lost, and why."""

from __future__ import annotations

from dataclasses import dataclass

from soak.books import (
    BROKEN,
    GATEWAY,
    GONE,
    LATER,
    LOST,
    READS,
    REDIS,
    REFUSED,
    RIGHT,
    SUPERVISOR,
    UNKNOWN,
    WORKER,
    Books,
    Exchange,
    Page,
    Windows,
)
from support.load import Recorder

TOO_LATE = 5.0  # seconds after its job's end; from then on nobody may be told that it still runs

# What a call may be told, the outcome that this is, and the faults that excuse it; without any it is lost.
EXCUSES: dict[tuple[int, str], tuple[str, set[str]]] = {
    (502, "ESUPERVISOR"): (REFUSED, {SUPERVISOR}),
    (502, "EGATEWAY"): (REFUSED, {GATEWAY}),
    (503, "EKEYSDOWN"): (REFUSED, {REDIS}),
    (503, "EHISTORY"): (REFUSED, {REDIS, WORKER, SUPERVISOR, READS}),
    (504, "EOUTCOMEUNKNOWN"): (UNKNOWN, {SUPERVISOR}),
    (502, "EOUTCOMEUNKNOWN"): (UNKNOWN, {SUPERVISOR}),
    (409, "EOUTCOMEUNKNOWN"): (UNKNOWN, {REDIS, WORKER, SUPERVISOR}),
    (409, "ESTARTING"): (REFUSED, {REDIS, WORKER, SUPERVISOR}),
    (502, "EJOBGONE"): (GONE, {REDIS}),
}
KEYED = {"EKEYSDOWN", "ESTARTING"}
GUARDED = {"EHISTORY", "EJOBGONE"}


@dataclass(frozen=True)
class Verdict:
    """What a call came to; `why` it is lost."""

    outcome: str
    why: str = ""


class Judge:
    """Tells right from lost."""

    def __init__(self, books: Books, windows: Windows, theeye: Recorder) -> None:
        self._books, self._windows, self._theeye = books, windows, theeye

    def judge(self, page: Page, exchange: Exchange) -> Verdict:
        self._books.note_told(exchange)
        response = exchange.response
        if response is None or not response.complete:
            return self._without_answer(exchange)
        if response.status == 200:
            return self._answered(page, exchange)
        if response.status == 202 or exchange.code() == "ETIMEISUP":
            return self._told_to_come_back(page, exchange)
        return self._told_off(page, exchange)

    def judge_look(self, page: Page, exchange: Exchange) -> Verdict:
        """The same for a GET: what fails in passing may be asked again."""
        verdict = self.judge(page, exchange)
        since, until = exchange.sent, exchange.at
        passing = exchange.code() == "ESUPERVISOR" and self._windows.excuse({READS, SUPERVISOR}, since, until)
        return Verdict(REFUSED) if passing else verdict

    def _without_answer(self, exchange: Exchange) -> Verdict:
        if "ConnectionRefusedError" in exchange.error:
            return Verdict(REFUSED)
        if (exchange.service, exchange.port) in self._windows.cut:
            return Verdict(BROKEN)
        return Verdict(LOST, f"{self._when(exchange)} no answer: {exchange.error or 'cut short'}")

    def _answered(self, page: Page, exchange: Exchange) -> Verdict:
        if exchange.body() != [page.argument] or exchange.job_id not in page.jobs:
            return Verdict(LOST, f"wrong answer, {self._words(exchange)}")
        ended = self._theeye.ended_at.get(exchange.job_id, exchange.at)
        since = max(ended, exchange.sent)
        self._books.note_late(self._windows.first(since, exchange.at), exchange.at - since)
        return Verdict(RIGHT)

    def _told_to_come_back(self, page: Page, exchange: Exchange) -> Verdict:
        if exchange.job_id not in page.jobs:
            return Verdict(LOST, f"not its own job, {self._words(exchange)}")
        ended = self._theeye.ended_at.get(exchange.job_id, exchange.at)
        if exchange.at - ended > TOO_LATE:
            return Verdict(LOST, f"said to go on {exchange.at - ended:.1f} s after its end, {self._words(exchange)}")
        return Verdict(LATER)

    def _told_off(self, page: Page, exchange: Exchange) -> Verdict:
        code = exchange.code()
        status = exchange.response.status if exchange.response else 0
        outcome, touches = EXCUSES.get((status, code), (LOST, set()))
        # what a repeated request is told has its reason in the first one; a place in the queue outlives a fault
        since = page.opened if status == 409 else exchange.sent - (20 if code == "EHISTORY" else 0)
        excused = self._windows.excuse(touches, since, exchange.at)
        odd = (code in KEYED and page.kind != "keyed") or (code in GUARDED and page.kind != "guarded")
        if outcome == LOST or not excused or odd or (outcome == REFUSED and exchange.job_id):
            return Verdict(LOST, f"no reason for it, {self._words(exchange)}")
        return Verdict(outcome)

    def _words(self, exchange: Exchange) -> str:
        response = exchange.response
        told = f"{response.status} {response.body[:300]!r}" if response else exchange.error
        return f"{self._when(exchange)} {exchange.job_id} {told}"

    def _when(self, exchange: Exchange) -> str:
        faults = ", ".join(self._windows.kinds(exchange.sent, exchange.at))
        took = exchange.at - exchange.sent
        return f"at {exchange.service} after {took:.2f} s, ended {exchange.at:.2f}, faults: {faults}:"
