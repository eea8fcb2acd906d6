"""Read what a service offers from its OpenAPI document: its modes, and how long it waits."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from app.client.misuse import Misuse
from app.client.service import Cut, Service

OUTPUT = "output"  # the mode without a name in the query

_RUN = "/{customer}/task/{task}/job"


class Offer(NamedTuple):
    """Hold the query names that select a mode, None if they are unknown, and the longest wait in seconds."""

    modes: frozenset[str] | None = None
    wait_seconds: float = 60.0  # the default of SYNC_WAIT_SECONDS

    def check(self, mode: str) -> None:
        """Raise Misuse for a mode that the service does not have: it would pass the name to the task."""
        if mode and self.modes is not None and mode.partition("=")[0] not in self.modes:
            raise Misuse(f"the service has no such mode, and nothing was started; it has {self._names}")

    @property
    def _names(self) -> str:
        return ", ".join(sorted({OUTPUT, *(self.modes or ())}))


def read_offer(service: Service) -> Offer:
    """Return what a service offers. If a proxy hides its document, the offer checks no mode.

    Raise Cut if the service cannot be reached.
    """
    try:
        return _offer(json.loads(service.ask("GET", "/openapi.json").body))
    except Cut as cut:
        if not cut.sent:
            raise
    except (ValueError, LookupError, TypeError, AttributeError):
        pass
    return Offer()


def _offer(document: Any) -> Offer:
    parameters = document["components"]["parameters"]
    return Offer(frozenset(_modes(document, parameters)), float(parameters["wait"]["schema"]["default"]))


def _modes(document: Any, parameters: Any) -> Iterator[str]:
    """Yield the names that select a mode: only these parameters may be empty, since their presence selects it."""
    for node in document["paths"][_RUN]["post"]["parameters"]:
        parameter = parameters[node["$ref"].rpartition("/")[2]] if "$ref" in node else node
        if parameter.get("allowEmptyValue"):
            yield parameter["name"]
