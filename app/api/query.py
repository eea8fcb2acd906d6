"""Parse the query string, with the names of the service and the arguments of the task."""

import re
from collections import Counter
from collections.abc import Callable, Collection
from urllib.parse import quote, unquote_plus

from app.telemetry.tokens import names_token
from app.telemetry.wsgi import wsgi_text
from app.theeye.callers import TASK

STRICT = "strict"
SERVICE_NAMES = frozenset({"access_token", "wait", "on_disconnect", STRICT})
BLOCKED_NAMES = frozenset({"lifecycle", "wait_result"})  # they would change how TheEye runs the job

_CUSTOMER = "customer"  # TheEye has it in the query of a workflow's calls

_OFF = frozenset({"0", "false", "no", "off"})
_BRACKETS = re.compile(r"[\[\]]+")
_UNSAFE = re.compile(r"[^\x21-\x7e]")


def blocked_names(kind: str) -> frozenset[str]:
    """Return the names that a client must not pass to a task or workflow."""
    return BLOCKED_NAMES if kind == TASK else BLOCKED_NAMES | {_CUSTOMER}


class Query:
    """Hold a query string, split once; the arguments for TheEye keep their bytes."""

    def __init__(self, raw: str) -> None:
        """Split `raw`, WSGI's QUERY_STRING, whose bytes are decoded as Latin-1."""
        self._pieces = [piece for piece in raw.split("&") if piece]
        self.pairs = [_pair(piece) for piece in self._pieces]
        # Without the token: formatters get these values, and may put them into messages for logs and answers.
        self.first = {name: value for name, value in reversed(self.pairs) if name != "access_token"}

    def all(self, name: str) -> list[str]:
        """Return every value of a name, in order."""
        return [value for key, value in self.pairs if key == name]

    def flag(self, name: str) -> bool | None:
        """Return whether a flag is on, or None if it is absent. Any value turns it on, except 0, false, no and off."""
        value = self.first.get(name)
        return None if value is None else value.strip().lower() not in _OFF

    @property
    def repeated(self) -> frozenset[str]:
        """Return the names that occur several times, also as `name[]` or `name[x]`."""
        if len(self.pairs) < 2:
            return frozenset()
        counts = Counter(base_name(name) for name, _ in self.pairs)
        return frozenset(name for name, count in counts.items() if count > 1)

    def without(self, names: Collection[str]) -> str:
        """Return the query without these names, ready for a URL; `name[]` and `name[x]` count as `name`, as with qs."""
        return self._joined(lambda key: key not in names and base_name(key) not in names)

    def only(self, names: Collection[str]) -> str:
        """Return the query with only these names, ready for a URL."""
        return self._joined(lambda key: key in names)

    def _joined(self, wanted: Callable[[str], bool]) -> str:
        if not self._pieces:
            return ""
        pairs = zip(self._pieces, self.pairs, strict=True)
        kept = (piece for piece, (key, _) in pairs if wanted(key) and not _hides_token(key))
        return "&".join(_UNSAFE.sub(lambda found: quote(found[0], encoding="latin-1"), piece) for piece in kept)


def base_name(name: str) -> str:
    """Return `name` for `name[]`, `name[x]` and `[name]`, as TheEye's query parser (qs) does."""
    return next((part for part in _BRACKETS.split(name) if part), "")


def _hides_token(name: str) -> bool:
    """Return whether a name contains a token: with a percent-encoded `=`, TheEye would get the token in a URL."""
    return not name.isidentifier() and names_token(name)


def _pair(piece: str) -> tuple[str, str]:
    name, _, value = piece.partition("=")
    return _decode(name), _decode(value)


def _decode(text: str) -> str:
    return unquote_plus(wsgi_text(text), errors="replace")
