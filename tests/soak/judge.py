"""Decide what a call came to: right, refused, unknown, broken, later, gone; or lost, and why."""

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
    Page,
    Windows,
)
from support.load import Got, Recorder, lateness

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
    """Hold what a call came to, and why it is lost."""

    outcome: str
    why: str = ""


class Judge:
    """Decide whether a call was right or lost."""

    def __init__(self, books: Books, windows: Windows, theeye: Recorder) -> None:
        self._books, self._windows, self._theeye = books, windows, theeye

    def judge(self, page: Page, got: Got) -> Verdict:
        if got.error or not got.response:
            cut = (got.worker, got.port) in self._windows.cut
            return Verdict(BROKEN) if cut else Verdict(LOST, f"no answer, {self._words(got)}")
        if got.status == 200:
            return self._answered(page, got)
        if got.status == 202 or got.code == "ETIMEISUP":
            return self._told_to_come_back(page, got)
        return self._told_off(page, got)

    def judge_look(self, page: Page, got: Got) -> Verdict:
        """Decide the same for a GET, which may be tried again after a temporary failure."""
        verdict = self.judge(page, got)
        passing = got.code == "ESUPERVISOR" and self._windows.excuse({READS, SUPERVISOR}, got.sent, got.at)
        return Verdict(REFUSED) if passing else verdict

    def _answered(self, page: Page, got: Got) -> Verdict:
        if got.body != [page.argument] or got.job_id not in page.jobs:
            return Verdict(LOST, f"wrong answer, {self._words(got)}")
        late = min(lateness(self._theeye, got), got.at - got.sent)
        self._books.note_late(self._windows.first(got.at - late, got.at), late)
        return Verdict(RIGHT)

    def _told_to_come_back(self, page: Page, got: Got) -> Verdict:
        if got.job_id not in page.jobs:
            return Verdict(LOST, f"not its own job, {self._words(got)}")
        if (late := lateness(self._theeye, got)) > TOO_LATE:
            return Verdict(LOST, f"said to go on {late:.1f} s after its end, {self._words(got)}")
        return Verdict(LATER)

    def _told_off(self, page: Page, got: Got) -> Verdict:
        outcome, touches = EXCUSES.get((got.status, got.code), (LOST, set()))
        # what a repeated request is told has its reason in the first one; a slot in the queue outlives a fault
        since = page.opened if got.status == 409 else got.sent - (20 if got.code == "EHISTORY" else 0)
        excused = self._windows.excuse(touches, since, got.at)
        odd = (got.code in KEYED and page.kind != "keyed") or (got.code in GUARDED and page.kind != "guarded")
        if outcome == LOST or not excused or odd or (outcome == REFUSED and got.job_id):
            return Verdict(LOST, f"no reason for it, {self._words(got)}")
        return Verdict(outcome)

    def _words(self, got: Got) -> str:
        told = f"{got.status} {got.response.body[:300]!r}" if got.response else ""
        faults = ", ".join(self._windows.kinds(got.sent, got.at))
        when = f"at {got.worker} after {got.at - got.sent:.2f} s, ended {got.at:.2f}, faults: {faults}"
        return f"{when}: {got.job_id} {got.error} {told}"
