"""Which formatters there are, and which one a query asks for."""

import logging
from collections.abc import Collection, Iterable, Iterator
from importlib import import_module

import pluggy

from formatters import hookspecs
from formatters.contract import Formatter
from formatters.loading import load

BUILT_IN = ("output", "parse", "full", "result")
DEFAULT = "output"

log = logging.getLogger("theeye_sync.formatters")


class RegistrationError(Exception):
    """A formatter cannot be registered; the message says which and why."""


class Registry:
    """The formatters by precedence, collected once from the plugins."""

    def __init__(self, disabled: Collection[str] = (), plugins: Iterable[str] = ()) -> None:
        """Registers the built-ins, then `plugins` (files or modules); `disabled` names are never loaded."""
        self._formatters: list[Formatter] = []
        self._plugins = pluggy.PluginManager(hookspecs.PROJECT_NAME)
        self._plugins.add_hookspecs(hookspecs)
        for name in set(disabled) - {DEFAULT}:
            self._plugins.set_blocked(name)
        for name in BUILT_IN:
            if not self._plugins.is_blocked(name):
                self.register(import_module(f"formatters.{name}"), name)
        for name in plugins:
            self._load(name)

    def register(self, plugin: object, name: str | None = None) -> None:
        """Adds a plugin's formatters. Raises RegistrationError where a name is taken; then none is added."""
        registered = self._plugins.register(plugin, name)
        try:
            others = self._plugins.get_plugins() - {plugin}
            self._plugins.check_pending()
            hook = self._plugins.subset_hook_caller("register_formatters", others)
            self._add([formatter for found in hook() for formatter in found])
        except Exception:
            self._plugins.unregister(name=registered)
            raise

    def choose(self, names: Collection[str]) -> Formatter:
        """The formatter of highest precedence that one of the query's names selects, else the default."""
        for formatter in self._formatters:
            if any(query in names for query in formatter.queries):
                return formatter
        return self[DEFAULT]

    def __getitem__(self, name: str) -> Formatter:
        """The formatter of that name; KeyError where there is none."""
        for formatter in self._formatters:
            if formatter.name == name:
                return formatter
        raise KeyError(name)

    def __iter__(self) -> Iterator[Formatter]:
        """In order of precedence."""
        return iter(self._formatters)

    @property
    def queries(self) -> frozenset[str]:
        """All query names that select a formatter: ours, never a task's arguments."""
        return frozenset(query for formatter in self._formatters for query in formatter.queries)

    def _load(self, name: str) -> None:
        """Registers one third party's plugin; one that fails is skipped loudly, the service serves."""
        try:
            self.register(load(name), name)
        except Exception:
            log.exception("plugin %s is skipped", name)

    def _add(self, formatters: list[Formatter]) -> None:
        merged = [*self._formatters, *formatters]
        for what, taken in (
            ("name", [formatter.name for formatter in merged]),
            ("query", [query for formatter in merged for query in formatter.queries]),
        ):
            for value in taken:
                if taken.count(value) > 1:
                    raise RegistrationError(f"the {what} {value!r} is taken by another formatter")
        self._formatters = sorted(merged, key=lambda formatter: -formatter.precedence)
