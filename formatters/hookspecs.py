"""The hooks a plugin can implement: the table of contents of what can be extended."""

from collections.abc import Iterable

import pluggy

from formatters.contract import Formatter

PROJECT_NAME = "theeye_sync"

hookspec = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl = pluggy.HookimplMarker(PROJECT_NAME)


@hookspec
def register_formatters() -> Iterable[Formatter]:  # type: ignore[empty-body]
    """The formatters that this plugin adds; called once at start-up."""
