"""Collect the formatters of all plugins, and choose one for each request."""

import logging
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from traceback import format_exception_only

import pluggy

from formatters import hookspecs, loading
from formatters.accept import preferred
from formatters.contract import Formatter, Mode, RegistrationError, check_taken, declared

DEFAULT = "output"
PLAIN = frozenset({"", "*/*", "application/json"})  # sent by most clients; these select no plugin

log = logging.getLogger("theeye_sync.formatters")


@dataclass(frozen=True, slots=True)
class Failure:
    """Describe a plugin that was skipped; `reason` is for the operator, `kind` may be shown to anybody."""

    name: str
    source: str
    reason: str
    kind: str


class Registry:
    """Hold the formatters in order of precedence, collected once at the start. A plugin that fails is skipped."""

    def __init__(self, disabled: Collection[str] = (), plugins: Iterable[str] = (), entry_points: bool = True) -> None:
        """Register the built-ins, installed packages and `plugins` (files or modules), except the `disabled` ones."""
        self._disabled = frozenset(disabled) - {DEFAULT}
        self._unused = set(disabled)
        self._modes: tuple[Mode, ...] = ()
        self._failures: list[Failure] = []
        self._plugins = pluggy.PluginManager(hookspecs.PROJECT_NAME)
        self._plugins.add_hookspecs(hookspecs)
        for source in loading.built_in():
            if not self._is_disabled(source.name):
                self.register(source.load(), source.name, source.origin, source.version)
        for source in self._installed() if entry_points else ():
            self._take(source)
        for source in loading.named(plugins):
            self._take(source)

    def register(self, plugin: object, name: str | None = None, origin: str = "", version: str = "") -> None:
        """Add all formatters of a plugin. Raise RegistrationError and add none if one of them cannot be used."""
        name = name or self._plugins.get_canonical_name(plugin)
        if self._plugins.has_plugin(name):
            raise RegistrationError(f"the plugin name {name!r} is taken")
        if any(plugin is known for known in self._plugins.get_plugins()):
            raise RegistrationError("the plugin is registered already, under another name")
        try:
            self._plugins.register(plugin, name)
            self._plugins.check_pending()
            self._add(self._declared_by(plugin, origin or name, loading.version_of(plugin, version)))
        except BaseException:
            if self._plugins.has_plugin(name):
                self._plugins.unregister(name=name)
            raise

    def choose(self, names: Collection[str], accept: str = "") -> Formatter:
        """Return the formatter of highest precedence that the query selects, else one for `accept`, else `output`."""
        for query, formatter in self._by_query:
            if query in names:
                return formatter
        if self._by_type and accept not in PLAIN:
            media_type = preferred(accept, self._by_type)
            if media_type is not None:
                return self._by_type[media_type]
        return self._default

    def __getitem__(self, name: str) -> Formatter:
        """Return the formatter with a name. Raise KeyError."""
        for mode in self._modes:
            if mode.name == name:
                return mode.formatter
        raise KeyError(name)

    def __iter__(self) -> Iterator[Formatter]:
        """Iterate over the formatters in order of precedence."""
        return (mode.formatter for mode in self._modes)

    @property
    def modes(self) -> tuple[Mode, ...]:
        """Return what each formatter declares and where it comes from, in order of precedence."""
        return self._modes

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Return the plugins that were skipped."""
        return tuple(self._failures)

    @property
    def disabled_nothing(self) -> tuple[str, ...]:
        """Return the disabled names that turned nothing off: misspelt ones, and `output`."""
        return tuple(sorted(self._unused))

    @property
    def queries(self) -> frozenset[str]:
        """Return the query names that select a formatter; TheEye never gets them as task arguments."""
        return self._queries

    def _installed(self) -> list[loading.Source]:
        try:
            return loading.installed()
        except Exception as error:
            log.exception("the installed packages' plugins are skipped")
            self._skipped("entry points", "installed packages", error)
            return []

    def _take(self, source: loading.Source) -> None:
        """Register a plugin that is not built in, unless it is turned off; if it fails, skip it and log why."""
        if self._is_disabled(source.name, source.origin):
            return
        try:
            if self._plugins.has_plugin(source.name):
                raise RegistrationError(f"the plugin name {source.name!r} is taken")
            self.register(source.load(), source.name, source.origin, source.version)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            log.exception("plugin %s is skipped", source.origin)
            self._skipped(source.name, source.origin, error)

    def _skipped(self, name: str, origin: str, error: BaseException) -> None:
        ours = isinstance(error, (RegistrationError, pluggy.PluginValidationError))
        words = " ".join((str(error) if ours else format_exception_only(error)[-1]).split())[:500]
        reason = "".join(letter if letter.isprintable() else "?" for letter in words)
        told = re.sub("<[^<>]*>", name, reason) if ours else type(error).__name__  # pluggy shows a module with its path
        self._failures.append(Failure(name, origin, reason, told))

    def _declared_by(self, plugin: object, origin: str, version: str) -> list[Mode]:
        """Call the hook of this plugin only, and return its modes except those that are turned off."""
        others = [other for other in self._plugins.get_plugins() if other is not plugin]
        hook = self._plugins.subset_hook_caller("register_formatters", others)
        found = [declared(formatter, origin, version) for given in hook() for formatter in given]
        if not found:
            raise RegistrationError("it registers no formatter: register_formatters is missing or gives none")
        for mode in found:
            if not mode.queries and not mode.media_types and mode.name != DEFAULT:
                raise RegistrationError(f"nothing selects {mode.name!r}: it has neither queries nor media_types")
        return [mode for mode in found if not self._is_disabled(mode.name)]

    def _is_disabled(self, *names: str) -> bool:
        self._unused.difference_update(self._disabled.intersection(names))
        return not self._disabled.isdisjoint(names)

    def _add(self, modes: list[Mode]) -> None:
        """Merge the modes by precedence and prepare the look-ups of `choose`. Raise RegistrationError."""
        merged = [*self._modes, *modes]
        check_taken(merged)
        self._modes = tuple(sorted(merged, key=lambda mode: -mode.precedence))
        self._by_query = tuple((query, mode.formatter) for mode in self._modes for query in mode.queries)
        self._by_type = {media_type: mode.formatter for mode in self._modes for media_type in mode.media_types}
        self._queries = frozenset(query for query, _ in self._by_query)
        self._default = self[DEFAULT]
