"""Publish in Redis that a job was created, has changed or has ended; as with TheEye, a message can be lost."""

import logging
import queue
import threading
from typing import Any, Protocol

from sandbox.jobs import new_id
from sandbox.jsontext import dumps
from sandbox.store import Document

_logger = logging.getLogger(__name__)


class NotifierError(Exception):
    """Report that SYNC_REDIS_URL cannot be used; the message says why."""


class Notifier(Protocol):
    """Define how an agent announces jobs; no method waits or raises."""

    def job_changed(self, job: Document, operation: str = "update") -> None:
        """Announce that a job has changed, or that it is new (`create`)."""

    def job_finished(self, job: Document) -> None:
        """Announce that a job has ended."""

    def close(self) -> None:
        """Publish nothing more."""


class NullNotifier:
    """Publish nothing; used without Redis."""

    def job_changed(self, job: Document, operation: str = "update") -> None:
        """Do nothing."""

    def job_finished(self, job: Document) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class RedisNotifier:
    """Publish from a thread of its own, so that no job waits for Redis."""

    def __init__(self, url: str) -> None:
        self._redis, self._errors = _connect(url)
        self._messages: queue.SimpleQueue[tuple[str, str] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sandbox-notify")
        self._thread.start()

    def job_changed(self, job: Document, operation: str = "update") -> None:
        """Queue a message about a new or changed job."""
        self._queue("crud", operation, job)

    def job_finished(self, job: Document) -> None:
        """Queue a message about an ended job."""
        self._queue("finished", "update", job)

    def close(self) -> None:
        """Publish the queued messages, then disconnect."""
        self._messages.put(None)
        self._thread.join()
        self._redis.close()

    def _queue(self, change: str, operation: str, job: Document) -> None:
        topic = f"workflow-job-{change}" if job["_type"] == "WorkflowJob" else f"job-{change}"
        self._messages.put((f"{job['customer_id']}:{topic}:{job['id']}", message(topic, operation, job)))

    def _run(self) -> None:
        while (item := self._messages.get()) is not None:
            if not self._publish(*item) and self._drop():
                return

    def _publish(self, channel: str, text: str) -> bool:
        try:
            self._redis.publish(channel, text)
        except self._errors as error:
            _logger.warning("Redis did not take a notification: %s", error)
        except Exception:
            _logger.exception("Redis did not take a notification")
        else:
            return True
        return False

    def _drop(self) -> bool:
        """Drop the queue: each message would wait for the unreachable Redis. Return whether `close` was called."""
        lost = 0
        while not self._messages.empty():
            if self._messages.get() is None:
                return True
            lost += 1
        if lost:
            _logger.warning("Redis did not take %d more notifications", lost)
        return False


def message(topic: str, operation: str, job: Document) -> str:
    """Return a message about a job; like TheEye's, it does not contain the job."""
    data = {
        "operation": operation,
        "organization": job["customer_name"],
        "organization_id": job["customer_id"],
        "model_id": job["id"],
        "model_type": job["_type"],
    }
    return dumps({"topic": topic, "id": new_id(), "data": data})


def _connect(url: str) -> tuple[Any, tuple[type[Exception], ...]]:
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        raise NotifierError(
            "SYNC_REDIS_URL is set, but redis-py is not installed: pip install 'theeye-sync[redis]'"
        ) from None
    try:
        # One retry: a restart of Redis may have closed the connection. None after a timeout: Redis may yet read the
        # first message, and would publish it twice.
        retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
        client = redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=1, retry=retry)
    except ValueError as error:
        raise NotifierError(f"SYNC_REDIS_URL is not a Redis URL: {error}") from error
    return client, (redis.RedisError, OSError)
