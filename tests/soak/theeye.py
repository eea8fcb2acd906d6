"""Simulate the soak's TheEye: it reports every create to the books, and sends odd notifications when told to."""

import itertools
from typing import Any

from soak.books import REDIS, Books, Windows
from support.faults import Answer
from support.load import CREATES, Recorder, argument_of
from support.theeye import Call, Session, dumps, finished_channel
from support.theeye import Job as StandInJob


class SoakTheEye(Recorder):
    """Simulate TheEye, keep the books, and forget the jobs that no caller asks for any more."""

    def __init__(self, redis_url: str, books: Books, windows: Windows) -> None:
        self.notifications = "right"
        self._books, self._windows = books, windows
        self._sent = itertools.count(1)
        super().__init__(redis_url)

    def prune(self) -> None:
        done = set(self._books.finished_jobs())
        with self._changed:
            self.calls.clear()
            self._answered.clear()
            steps = [job.id for job in self._jobs.values() if job.parent and job.parent.id in done]
            for job_id in [*done, *steps]:
                self._jobs.pop(job_id, None)
                self.ended_at.pop(job_id, None)

    def _serve(self, connection: Any, call: Call) -> bool:
        if call.kind in CREATES:
            self._books.create_came(argument_of(call))
        return super()._serve(connection, call)

    def _start_job(self, job: StandInJob, answer: Answer) -> None:
        if job.parent is None or len(self.steps(job.parent.id)) == 1:  # later steps of a workflow belong to no request
            self._books.job_made(str(job.document["task_arguments_values"][0]), (job.parent or job).id)
        super()._start_job(job, answer)

    def _publish_end(self, job: StandInJob, at_once: bool = False) -> None:
        if self.notifications == "dropped":
            return
        if self.notifications == "garbled":
            return self._send(job.session, job.id, b"\xff{garbled")
        if self.notifications == "of 1 MB" and next(self._sent) % 5 == 0:
            return self._send(job.session, job.id, dumps("x" * 1_000_000))
        if self.notifications == "for other jobs":
            for _ in range(20):
                self._send(job.session, f"5f{next(self._sent):022x}", b"{}")
        if self.notifications == "doubled":
            super()._publish_end(job)
        # at once: while a Redis that does not answer would hold up the create, no more than another job's end
        super()._publish_end(job, at_once and not self._windows.is_open(REDIS))

    def _send(self, session: Session, job_id: str, payload: bytes) -> None:
        if self._publisher and self._server:
            self._publisher.later(finished_channel(session, job_id), payload)
