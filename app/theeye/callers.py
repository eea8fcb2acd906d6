"""Name the client on whose behalf TheEye is called, and what it runs."""

from dataclasses import dataclass, field

from app.telemetry.trace import Headers, Trace

TASK, WORKFLOW = KINDS = ("task", "workflow")  # as they stand in a path


@dataclass(frozen=True, slots=True)
class Session:
    """Hold whose token it is; a session belongs to one customer."""

    user_id: str
    customer_id: str
    customer: str


@dataclass(frozen=True, slots=True)
class Runnable:
    """Name a task or a workflow: its kind, and its id as the path has it."""

    kind: str = TASK
    id: str = ""

    @property
    def name(self) -> str:
        """Return the name under which this service knows it; that of a task is its id, as it stands in Redis.

        No id holds a slash: a path with an encoded one is refused.
        """
        return self.id.lower() if self.kind == TASK else f"{self.kind}/{self.id.lower()}"


NOTHING = Runnable()


@dataclass(frozen=True, slots=True)
class Caller:
    """Hold on whose behalf TheEye is called, the record of the request, and what is run.

    The customer is named, and its id is empty until the session is known.
    """

    customer: str
    token: str = field(repr=False)
    trace: Trace = field(default_factory=Trace, repr=False, compare=False)
    runs: Runnable = NOTHING
    customer_id: str = ""

    @property
    def headers(self) -> Headers:
        """Return the headers of every call; the token travels in no other way."""
        return (("Authorization", f"Bearer {self.token}"), *self.trace.headers)
