"""Find plugins: the built-ins, the entry points of installed packages, and those that SYNC_PLUGINS names.

`Source.load` imports a plugin, nothing else does: a plugin that is turned off by its name is never imported.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module, util
from importlib.metadata import Distribution, PackageNotFoundError, distributions, version
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn
from zlib import crc32

from formatters.hookspecs import PROJECT_NAME

BUILT_IN = ("output", "parse", "response", "full", "result")


@dataclass(frozen=True, slots=True)
class Source:
    """Describe a plugin that can be loaded: the name that turns it off, its origin, its version."""

    name: str
    origin: str
    version: str
    load: Callable[[], Any]


def built_in() -> Iterator[Source]:
    """Yield the plugins that are part of the service."""
    ours = _version("theeye-sync")
    for name in BUILT_IN:
        yield Source(name, "built in", ours, partial(import_module, f"formatters.modes.{name}"))


def installed() -> list[Source]:
    """Return the entry points of group `theeye_sync`, ordered by name; a broken package does not hide the others."""
    found: dict[str, list[Source]] = {}
    for distribution in distributions():
        if _mentions_us(distribution):
            sources = _entry_points(distribution)
            # the first on sys.path counts, as for an import
            found.setdefault(sources[0].origin.lower() if sources else "", sources)
    return sorted(chain.from_iterable(found.values()), key=lambda source: (source.name, source.origin))


def named(names: Iterable[str]) -> Iterator[Source]:
    """Yield files (names that end in `.py`) and modules, in the order given."""
    for name in names:
        path = Path(name).expanduser()
        if name.endswith(".py"):
            yield Source(path.stem, name, "", partial(_load_file, path))
        else:
            yield Source(name, name, "", partial(import_module, name))


def version_of(plugin: object, known: str) -> str:
    """Return the known version, else the plugin's own `__version__`, else an empty string."""
    own = getattr(plugin, "__version__", "")
    return known or (own[:40] if isinstance(own, str) else "")


def _entry_points(distribution: Distribution) -> list[Source]:
    """Return the plugins of a package; if its metadata cannot be read, a source whose `load` raises that error."""
    name, release = _metadata(distribution, "name") or "a package without a name", _metadata(distribution, "version")
    try:
        points = distribution.entry_points.select(group=PROJECT_NAME)
        return [Source(point.name, name, release, point.load) for point in points]
    except Exception as error:  # noqa: BLE001
        return [Source(name, name, release, partial(_fail, error))]


def _mentions_us(distribution: Distribution) -> bool:
    try:
        return PROJECT_NAME in (distribution.read_text("entry_points.txt") or "")
    except (OSError, ValueError):
        return False


def _metadata(distribution: Distribution, field: str) -> str:
    try:
        return str(getattr(distribution, field) or "")
    except Exception:  # noqa: BLE001
        return ""


def _fail(error: Exception) -> NoReturn:
    raise error


def _load_file(path: Path) -> ModuleType:
    """Import a file under a unique module name. Raise whatever the import raises."""
    name = f"theeye_sync_plugin_{path.stem}_{crc32(str(path.absolute()).encode()):08x}"
    spec = util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@cache
def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
