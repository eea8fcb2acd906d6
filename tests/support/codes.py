"""Find the error codes in the source, to compare them with those in the documents."""

import functools
import re
from collections.abc import Iterator

from app.errors import SyncError, UpstreamFailed
from support.processes import CHECKOUT

NGINX = {"ERATE": {429}, "EUNREACHABLE": {502, 504}}  # codes of deploy/nginx.conf


def error_classes(parent: type[SyncError] = SyncError) -> Iterator[type[SyncError]]:
    for child in parent.__subclasses__():
        yield child
        yield from error_classes(child)


@functools.cache
def codes_with_statuses() -> dict[str, set[int]]:
    """Return every code in the source of `app` with its statuses; a code without a class belongs to UpstreamFailed."""
    source = "\n".join(path.read_text() for path in sorted((CHECKOUT / "app").rglob("*.py")))
    codes = set(re.findall(r"\bcode(?:: str)? ?= ?\"(E[A-Z]+)\"", source))
    statuses: dict[str, set[int]] = {code: set() for code in codes}
    for error in (SyncError, *error_classes()):
        if error.__module__.startswith("app.") and vars(error).get("code"):
            statuses[error.code].add(error.status)
    codes_of = {error.__name__: error.code for error in error_classes() if error.code}
    for name, status in re.findall(
        r"\braise (\w+)\(.*?\bstatus=(\d{3})\b", source
    ):  # a status other than that of the class
        statuses[codes_of[name]].add(int(status))
    return {code: found or {UpstreamFailed.status} for code, found in statuses.items()}
