"""Report the results of a soak: tables, figures as JSON, and the exit code."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from soak.books import OUTCOMES, Books, Windows
from soak.resources import Calm, Growth, Sampler, growths, not_flat
from support.load import table


@dataclass
class Findings:
    """Hold everything that is reported about one run; it is filled in during the run."""

    seed: int
    workers: dict[str, int]
    callers: int
    judges_growth: bool
    windows: Windows = field(default_factory=Windows)
    books: Books = field(default_factory=Books)
    seconds: float = 0.0  # of soaking
    before: Calm = field(default_factory=lambda: Calm([], 0))
    after: Calm = field(default_factory=lambda: Calm([], 0))
    sampler: Sampler | None = None
    grown: list[Growth] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)  # what is not flat
    tracebacks: list[str] = field(default_factory=list)
    interrupted: bool = False

    def judge_growth(self, warm_up: float) -> None:
        """Find out what has grown, if the run was long enough; a worker is warm after some seconds."""
        if self.judges_growth and not self.interrupted and self.sampler:
            self.grown = growths(self.sampler.samples, warm_up)
            self.complaints = not_flat(self.before, self.after, self.grown, sum(self.workers.values()))

    def exit_code(self) -> int:
        """Return 0 if nothing was lost, nothing ran twice and nothing grew."""
        if self.interrupted:
            return 130
        return int(bool(self.books.lost or self.books.doubled or self.complaints))


def tables(found: Findings) -> str:
    """Return the report for the terminal, and for docs/reliability.md."""
    books = found.books
    stopped = " (interrupted)" if found.interrupted else ""
    lines = [f"soak of {found.seconds / 60:.1f} minutes{stopped}, seed {found.seed}, {found.callers} callers", ""]
    lines += [calls_table(books), "", faults_table(found.windows, books), ""]
    lines += [resources_table(found), "", growth_table(found.grown), ""]
    lines.append(f"subscriptions: {found.before.subscriptions} before, {found.after.subscriptions} after")
    lines.append(f"requests {books.requests}, creates {books.creates}")
    lines += [f"tracebacks in the services' logs: {len(found.tracebacks)}", *found.tracebacks[:3]]
    judged = found.judges_growth and not found.interrupted
    flat = "; ".join(found.complaints) or ("yes" if judged else "not judged")
    return "\n".join([*lines, f"lost {len(books.lost)}, doubled {len(books.doubled)}, flat: {flat}"])


def calls_table(books: Books) -> str:
    all_of_them = sum(books.outcomes.values(), start=Counter[str]())
    counted = [*sorted(books.outcomes.items()), ("all", all_of_them)]
    rows = [(kind, found.total(), *(found[outcome] for outcome in OUTCOMES)) for kind, found in counted]
    return table(["calls"], ["all", *OUTCOMES], rows)


def faults_table(windows: Windows, books: Books) -> str:
    fired = [("none", 0), *sorted(windows.counts().items())]
    rows = [(kind, count or "", f"{books.late[kind]:.2f}" if kind in books.late else "") for kind, count in fired]
    return table(["fault"], ["fired", "latest answer after its job's end (s)"], rows)


def resources_table(found: Findings) -> str:
    moments = [(when, one) for when in ("before", "after") for one in getattr(found, when).workers]
    rows = [
        (f"{one.service} {one.pid}", when, f"{one.rss_mb:.1f}", one.threads, one.files, one.sockets, one.redis)
        for when, one in moments
    ]
    return table(["worker", "calm"], ["RSS (MB)", "threads", "files", "of them sockets", "to Redis"], rows)


def growth_table(grown: list[Growth]) -> str:
    rows = [
        (f"{one.service} {one.pid}", f"{one.minutes:.1f}", f"{one.warm_mb:.1f}", f"{one.last_mb:.1f}") for one in grown
    ]
    return table(["worker"], ["minutes watched", "RSS when warm (MB)", "RSS at its end (MB)"], rows)


def figures(found: Findings) -> dict[str, Any]:
    """Return the counts, for a file."""
    books = found.books
    return {
        "calls": {kind: dict(outcomes) for kind, outcomes in books.outcomes.items()},
        "requests": books.requests,
        "creates": books.creates,
        "faults": dict(found.windows.counts()),
        "lost": books.lost,
        "doubled": books.doubled,
    }
