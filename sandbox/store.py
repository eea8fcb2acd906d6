"""Store jobs and tokens in SQLite, so that they survive a restart."""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from sandbox.jsontext import dumps

Document = dict[str, Any]

# The history limit never deletes jobs in these lifecycles; it deletes `started` ones, as in TheEye.
SPARED = ("ready", "assigned", "onhold", "syncing", "locked")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, task_id TEXT NOT NULL, customer_name TEXT NOT NULL,
    lifecycle TEXT NOT NULL, document TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS jobs_of_task ON jobs (task_id, seq);
CREATE INDEX IF NOT EXISTS jobs_in_lifecycle ON jobs (lifecycle, seq);
CREATE TABLE IF NOT EXISTS runs (id TEXT PRIMARY KEY, workflow_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS steps (id TEXT PRIMARY KEY, run_id TEXT NOT NULL, settled INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS runs_of_workflow ON runs (workflow_id);
CREATE INDEX IF NOT EXISTS steps_of_run ON steps (run_id);
CREATE TABLE IF NOT EXISTS tokens (token TEXT PRIMARY KEY, customer TEXT NOT NULL, expires REAL);
"""


class StoreError(Exception):
    """Report that the database cannot be used; the message says why."""


class Store:
    """Read and write the database over one connection, guarded by one lock; SQLite's own locks would be slower."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._db = _open(path)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    def add_token(self, token: str, customer: str, expires: float | None) -> None:
        """Store a session's token; `expires` is in seconds since 1970, None means never."""
        with self._lock, self._db:
            self._db.execute("DELETE FROM tokens WHERE expires < ?", (time.time(),))
            self._db.execute("INSERT OR REPLACE INTO tokens VALUES (?, ?, ?)", (token, customer, expires))

    def customer_of(self, token: str) -> str | None:
        """Return the organisation of a token's session."""
        query = "SELECT customer FROM tokens WHERE token = ? AND (expires IS NULL OR expires > ?)"
        return self._value(query, token, time.time())

    def add_job(self, document: Document, history_limit: int | None) -> None:
        """Store a new job, and delete old ones beyond the history limit."""
        with self._lock, self._db:
            self._insert(document, document["task_id"])
            if history_limit is not None:
                self._trim(document["task_id"], history_limit)

    def job_text(self, job_id: str) -> str | None:
        """Return a job's document as JSON text, for any caller: TheEye shows the jobs of other organisations, too."""
        return self._value("SELECT document FROM jobs WHERE id = ?", job_id.lower())

    def lifecycle(self, job_id: str) -> str | None:
        """Return a job's lifecycle without its document."""
        return self._value("SELECT lifecycle FROM jobs WHERE id = ?", job_id.lower())

    def jobs_in(self, lifecycle: str) -> list[str]:
        """Return the ids of an agent's jobs in a lifecycle, the oldest first; leave out workflows' own jobs."""
        query = "SELECT id FROM jobs WHERE lifecycle = ? AND id NOT IN (SELECT id FROM runs) ORDER BY seq"
        with self._lock:
            rows = self._db.execute(query, (lifecycle,))
            return [row[0] for row in rows]

    def change(self, job_id: str, allowed: Collection[str], change: Callable[[Document], None]) -> Document | None:
        """Change a job if its lifecycle is allowed; return the changed job, or None."""
        with self._lock, self._db:
            row = self._db.execute("SELECT lifecycle, document FROM jobs WHERE id = ?", (job_id.lower(),)).fetchone()
            if row is None or row[0] not in allowed:
                return None
            document: Document = json.loads(row[1])
            change(document)
            values = (document["lifecycle"], dumps(document), document["id"])
            self._db.execute("UPDATE jobs SET lifecycle = ?, document = ? WHERE id = ?", values)
            return document

    def add_run(self, run: Document, first: Document, history_limit: int | None) -> None:
        """Store a workflow's own job and its first step; delete the oldest ended runs beyond the workflow's limit."""
        with self._lock, self._db:
            self._insert(run, "")
            self._db.execute("INSERT INTO runs VALUES (?, ?)", (run["id"], run["workflow_id"]))
            self._insert_step(first)
            if history_limit is not None:
                self._trim_runs(run["workflow_id"], history_limit)

    def steps_of(self, run_id: str) -> list[Document]:
        """Return the jobs of a run, the oldest first."""
        query = "SELECT document FROM jobs JOIN steps USING (id) WHERE run_id = ? ORDER BY seq"
        with self._lock:
            return [json.loads(row[0]) for row in self._db.execute(query, (run_id,))]

    def newest_step(self, run_id: str) -> str | None:
        """Return the id of a run's newest job, or None."""
        return self._value("SELECT id FROM jobs JOIN steps USING (id) WHERE run_id = ? ORDER BY seq DESC", run_id)

    def settle(self, job_id: str, following: list[Document]) -> bool:
        """Store the jobs that follow an ended job, in one transaction; return whether the run is over."""
        with self._lock, self._db:
            self._db.execute("UPDATE steps SET settled = 1 WHERE id = ?", (job_id,))
            for job in following:
                self._insert_step(job)
            run = "SELECT run_id FROM steps WHERE id = ?"
            return self._value(f"SELECT count(*) FROM steps WHERE NOT settled AND run_id = ({run})", job_id) == "0"

    def unsettled_steps(self) -> list[Document]:
        """Return the ended jobs whose followers were not created yet."""
        ended = f"lifecycle NOT IN ({_marks(SPARED)})"
        query = f"SELECT document FROM jobs JOIN steps USING (id) WHERE NOT settled AND {ended} ORDER BY seq"
        with self._lock:
            return [json.loads(row[0]) for row in self._db.execute(query, SPARED)]

    def _insert(self, document: Document, task_id: str) -> None:
        row = (document["id"], task_id, document["customer_name"], document["lifecycle"], dumps(document))
        columns = "(id, task_id, customer_name, lifecycle, document)"
        self._db.execute(f"INSERT INTO jobs {columns} VALUES (?, ?, ?, ?, ?)", row)

    def _insert_step(self, job: Document) -> None:
        self._insert(job, job["task_id"])
        self._db.execute("INSERT INTO steps VALUES (?, ?, 0)", (job["id"], job["workflow_job_id"]))

    def _trim_runs(self, workflow_id: str, limit: int) -> None:
        """Delete as TheEye does: as many runs as are above the limit, the oldest of those without a job in progress."""
        too_many = "(SELECT max(0, count(*) - ?) FROM runs WHERE workflow_id = ?)"
        in_progress = f"SELECT run_id FROM steps JOIN jobs USING (id) WHERE lifecycle IN ({_marks(SPARED)})"
        query = f"""SELECT id FROM runs JOIN jobs USING (id) WHERE workflow_id = ? AND id NOT IN ({in_progress})
            ORDER BY seq LIMIT {too_many}"""
        old = self._db.execute(query, (workflow_id, *SPARED, limit, workflow_id)).fetchall()
        for delete in (
            "DELETE FROM jobs WHERE id IN (SELECT id FROM steps WHERE run_id = ?)",
            "DELETE FROM steps WHERE run_id = ?",
            "DELETE FROM jobs WHERE id = ?",
            "DELETE FROM runs WHERE id = ?",
        ):
            self._db.executemany(delete, old)

    def _trim(self, task_id: str, limit: int) -> None:
        beyond = "SELECT seq FROM jobs WHERE task_id = ? ORDER BY seq DESC LIMIT 1 OFFSET ?"
        self._db.execute(
            f"DELETE FROM jobs WHERE task_id = ? AND lifecycle NOT IN ({_marks(SPARED)}) AND seq <= ({beyond})",
            (task_id, *SPARED, task_id, limit),
        )

    def _value(self, query: str, *parameters: object) -> str | None:
        with self._lock:
            row = self._db.execute(query, parameters).fetchone()
        return None if row is None else str(row[0])


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, timeout=1, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"the database {path} cannot be opened: {error}") from error
    try:
        # An exclusive lock: two sandboxes with one database would run each other's jobs.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_SCHEMA)
        with db:
            db.execute("DELETE FROM tokens WHERE expires < ?", (time.time(),))
    except sqlite3.Error as error:
        db.close()
        hint = "; is another sandbox using it?" if "locked" in str(error) else ""
        raise StoreError(f"the database {path} cannot be used: {error}{hint}") from error
    return db
