"""Simulate TheEye for benchmarks: gateway and supervisor in one process, with far less CPU than the service.

python -m benchmarks.theeye --port PORT --redis-port PORT

A task's id determines its jobs' duration and output, see `task_id` in benchmarks/theeye_documents.py. A workflow with
the same id has two such steps. Every job succeeds. Its output contains when it began and ended, in monotonic seconds,
which all processes of a machine share.
"""

import argparse
import asyncio
import time
from collections.abc import Callable

from benchmarks.theeye_documents import JOB, PROFILE, TASK, WORKFLOW, answer, dumps, ended_job, notification, open_end

REMEMBERED = 20_000  # the newest jobs are kept
NOT_FOUND = b'HTTP/1.1 404 Not Found\r\nContent-Length: 15\r\n\r\n"job not found"'


class TheEye:
    """Hold all jobs, and count the calls."""

    def __init__(self, publish: Callable[[bytes], None]) -> None:
        """Start without jobs; `publish` sends commands to Redis."""
        self._runs = Runs(self)
        self._publish = publish
        self._loop = asyncio.get_running_loop()
        self._jobs: dict[bytes, tuple[float, float]] = {}
        self._due: list[bytes] = []
        self._created = 0
        self._documents: dict[bytes, list[bytes]] = {}
        self._ready = open_end(JOB)
        self._profile = answer(dumps(PROFILE))
        self.counts = {"create": 0, "read": 0, "lifecycle": 0, "profile": 0, "task": 0, "other": 0}
        self.counts |= {"jobs": 0, "workflow": 0}

    def handle(self, request: bytes) -> bytes:
        """Return the answer to one whole request."""
        try:
            return self._answer(request)
        except KeyError:  # the job was forgotten
            return NOT_FOUND

    def _answer(self, request: bytes) -> bytes:
        if request.startswith(b"POST "):
            self.counts["create"] += 1
            if request.startswith(b"POST /workflows/"):
                return self._runs.create(request[16:40])
            at = request.index(b"/task/") + 14
            job_id = self.create(request[at : at + 16])
            self.begin(job_id)
            return answer(self._ready + job_id + b'"}')
        path = request[4 : request.index(b" ", 4)]
        if path.startswith(b"/workflows/"):
            self.counts["jobs" if b"/job/" in path else "workflow"] += 1
            return self._runs.show(path)
        if (at := path.find(b"/job/") + 5) >= 5:
            job_id, looks = path[at : at + 24], path.endswith(b"/lifecycle")
            self.counts["lifecycle" if looks else "read"] += 1
            return self._lifecycle(job_id) if looks else self._read(job_id)
        return self._rest(path)

    def _rest(self, path: bytes) -> bytes:
        if path == b"/counts":
            return answer(dumps(self.counts))
        if path == b"/forget":
            self._jobs.clear()
            return answer(b"null")
        kind = "profile" if path.startswith(b"/api/session/profile") else "task" if b"/task/" in path else "other"
        self.counts[kind] += 1
        if kind == "task":
            return answer(dumps(TASK | {"id": path.rpartition(b"/")[2].decode()}))
        return self._profile if kind == "profile" else NOT_FOUND

    def create(self, plan: bytes, began: float = 0.0) -> bytes:
        """Make a job and return its id."""
        self._created += 1
        job_id = b"%08x%b" % (self._created, plan)
        self._jobs[job_id] = (began or time.monotonic(), 0.0)
        if len(self._jobs) > REMEMBERED:
            del self._jobs[next(iter(self._jobs))]
        return job_id

    def begin(self, job_id: bytes) -> None:
        """End a job when its time is over."""
        if milliseconds := int(job_id[8:16], 16):
            self._loop.call_later(milliseconds / 1000, self.end, job_id)
        else:
            self.end(job_id)

    def end(self, job_id: bytes) -> None:
        """End a job; publish it in the next iteration of the loop, after the answer to the create."""
        if job_id not in self._jobs:
            return
        self._jobs[job_id] = (self._jobs[job_id][0], time.monotonic())
        if not self._due:
            self._loop.call_soon(self._publish_due)
        self._due.append(job_id)
        self._runs.go_on(job_id, self._jobs[job_id][0])

    def _publish_due(self) -> None:
        self._publish(b"".join(notification(job_id, self._runs.topic(job_id)) for job_id in self._due))
        self._due.clear()

    def _lifecycle(self, job_id: bytes) -> bytes:
        return answer(b'"finished"' if self._jobs[job_id][1] else b'"ready"')

    def _read(self, job_id: bytes) -> bytes:
        return answer(self.document(job_id) + self._runs.mark(job_id) + b"}")

    def document(self, job_id: bytes) -> bytes:
        """Return a job's document, without its closing brace."""
        began, ended = self._jobs[job_id]
        if not ended:
            return self._ready + job_id + b'"'
        size = job_id[16:]
        if size not in self._documents:
            self._documents[size] = ended_job(int(size, 16))
        return (b"%.6f/%.6f" % (began, ended)).join(self._documents[size]) + job_id + b'"'


class Runs:
    """Hold the runs of workflows: two steps each, one after the other."""

    def __init__(self, theeye: TheEye) -> None:
        """Start without runs; their jobs are TheEye's."""
        self._theeye = theeye
        self._steps: dict[bytes, list[bytes]] = {}  # of a run
        self._run_of: dict[bytes, bytes] = {}  # of a step

    def create(self, workflow: bytes) -> bytes:
        """Start a run and answer with its job."""
        run = self._theeye.create(workflow[8:])
        self._steps[run] = []
        self._start(run)
        return answer(self._theeye.document(run) + self.mark(run) + b"}")

    def go_on(self, job_id: bytes, began: float) -> None:
        """Start the next step after the end of one, or end the run."""
        run = self._run_of.get(job_id)
        if run is not None and len(self._steps[run]) < 2:
            self._start(run, began)  # the last step's output says when the run began
        elif run is not None:
            self._theeye.end(run)

    def show(self, path: bytes) -> bytes:
        """Answer with the workflow, or with the jobs of a run."""
        workflow, _, rest = path[11:].partition(b"?")[0].partition(b"/job/")
        if not rest:
            return answer(dumps(WORKFLOW | {"id": workflow.decode()}))
        jobs = [self._theeye.document(step) + self.mark(step) + b"}" for step in self._steps[rest[:24]]]
        return answer(b"[%b]" % b",".join(jobs))

    def mark(self, job_id: bytes) -> bytes:
        """Return what the document of a run or a step has more than a job's."""
        if job_id in self._steps:
            return b',"_type":"WorkflowJob","output":[],"workflow_id":"61f3e937%b"' % job_id[8:]
        if (run := self._run_of.get(job_id)) is None:
            return b""
        place = self._steps[run].index(job_id)
        return b',"workflow_job_id":"%b","task_id":"%024x","name":"step %d"' % (run, place, place)

    def topic(self, job_id: bytes) -> bytes:
        """Return the topic of the notification of a job's end."""
        return b"workflow-job-finished" if job_id in self._steps else b"job-finished"

    def _start(self, run: bytes, began: float = 0.0) -> None:
        step = self._theeye.create(run[8:], began)
        self._run_of[step] = run
        self._steps[run].append(step)
        self._theeye.begin(step)
        if len(self._steps) > REMEMBERED:
            for old in self._steps.pop(next(iter(self._steps))):
                del self._run_of[old]


class Connection(asyncio.Protocol):
    """Serve one kept-alive connection."""

    def __init__(self, theeye: TheEye) -> None:
        """Take the TheEye that all connections share."""
        self._theeye = theeye
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection; asyncio has set TCP_NODELAY."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every complete request."""
        data = self._buffer + data
        while end := request_end(data):
            self._transport.write(self._theeye.handle(data[:end]))
            data = data[end:]
        self._buffer = data


def request_end(data: bytes) -> int:
    """Return the length of the first request; 0 while it is incomplete."""
    end = data.find(b"\r\n\r\n") + 4
    if end < 4:
        return 0
    if not data.startswith(b"GET "):
        at = data.lower().find(b"content-length:", 0, end)
        end += int(data[at + 15 : data.index(b"\r", at)]) if at >= 0 else 0
    return end if len(data) >= end else 0


async def serve(port: int, redis_port: int) -> None:
    """Serve until the process is killed."""
    loop = asyncio.get_running_loop()
    to_redis, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", redis_port)
    theeye = TheEye(to_redis.write)
    server = await loop.create_server(lambda: Connection(theeye), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--redis-port", type=int, required=True)
    given = parser.parse_args()
    asyncio.run(serve(given.port, given.redis_port))
