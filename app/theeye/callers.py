"""Name the client on whose behalf TheEye is called."""

from dataclasses import dataclass, field

from app.telemetry.trace import Headers, Trace


@dataclass(frozen=True, slots=True)
class Session:
    """Hold whose token it is; a session belongs to one customer."""

    user_id: str
    customer_id: str
    customer: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Hold on whose behalf TheEye is called: customer (by name), token and task, and the record of the request."""

    customer: str
    token: str = field(repr=False)
    trace: Trace = field(default_factory=Trace, repr=False, compare=False)
    task: str = ""

    @property
    def headers(self) -> Headers:
        """Return the headers of every call; the token travels in no other way."""
        return (("Authorization", f"Bearer {self.token}"), *self.trace.headers)
