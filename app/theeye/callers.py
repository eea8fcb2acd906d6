"""Define the caller of TheEye, its session, and the task or workflow that it runs."""

from dataclasses import dataclass, field

from app.telemetry.trace import Headers, Trace

TASK, WORKFLOW = KINDS = ("task", "workflow")  # as in a path


@dataclass(frozen=True, slots=True)
class Session:
    """Hold the user and the customer of a token; a session belongs to one customer."""

    user_id: str
    customer_id: str
    customer: str


@dataclass(frozen=True, slots=True)
class Runnable:
    """Name a task or a workflow: its kind, and its id as in the path."""

    kind: str = TASK
    id: str = ""

    @property
    def name(self) -> str:
        """Return this service's own name of it, unique among one customer's; a task's name is its id, also in Redis.

        No id contains a slash: a path with an encoded one is refused.
        """
        return self.id.lower() if self.kind == TASK else f"{self.kind}/{self.id.lower()}"


NOTHING = Runnable()


@dataclass(frozen=True, slots=True)
class Caller:
    """Hold for whom TheEye is called, the record of the request, and the task or workflow.

    `customer` is a name, or what the path has until the session is known; `customer_id` is empty until then.
    """

    customer: str
    token: str = field(repr=False)
    trace: Trace = field(default_factory=Trace, repr=False, compare=False)
    runs: Runnable = NOTHING
    customer_id: str = ""

    @property
    def headers(self) -> Headers:
        """Return the headers of every call; the token is sent in no other way."""
        return (("Authorization", f"Bearer {self.token}"), *self.trace.headers)
