"""What all requests share; put together once by `create_app`."""

from dataclasses import dataclass

from app.health import Health
from app.runs.runs import Runs
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.theeye.client import Supervisor
from app.theeye.sessions import Sessions
from app.waiter.cancellations import Cancellations
from app.waiter.job_waiter import Waiter
from formatters import Registry


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of one process's service."""

    settings: Settings
    formatters: Registry
    sessions: Sessions
    supervisor: Supervisor
    waiter: Waiter
    runs: Runs
    cancellations: Cancellations
    health: Health
    metrics: Metrics | None = None

    def stop(self, most: float = float("inf")) -> None:
        """The process is stopping: no longer ready, and no wait outlasts SYNC_GRACE_SECONDS, or `most` seconds."""
        self.health.stopping = True
        self.waiter.end_all(min(self.settings.grace_seconds, most))
        self.cancellations.all_now()
