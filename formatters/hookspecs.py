"""Define the hooks that a plugin can implement."""

from collections.abc import Iterable

import pluggy

from formatters.contract import Formatter

PROJECT_NAME = "theeye_sync"

hookspec = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl = pluggy.HookimplMarker(PROJECT_NAME)


@hookspec
def register_formatters() -> Iterable[Formatter]:  # type: ignore[empty-body]
    """Return the formatters that this plugin adds; called once at the start."""
