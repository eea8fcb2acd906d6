"""Find the tests that start a process, from their fixtures and the functions that they call.

The sandbox starts a process for each job.
"""

import functools
import inspect
import itertools
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from sandbox import Sandbox
from support.processes import CHECKOUT, Process

TESTS = str(CHECKOUT / "tests")


def starts_process(item: pytest.Function) -> bool:
    """Return whether a test, one of its fixtures, or a function of the tests that they call starts a process."""
    functions = [item.obj, *_functions(item._fixtureinfo.name2fixturedefs)]
    if any("getfixturevalue" in _names_in(inspect.unwrap(function).__code__) for function in functions):
        functions += _functions(_by_parameters(item))
    return any(_starts(function) for function in functions)


def _functions(fixtures: Mapping[str, Sequence[pytest.FixtureDef[object]]]) -> list[Callable[..., object]]:
    return [found[-1].func for found in fixtures.values()]


def _by_parameters(item: pytest.Function) -> dict[str, Sequence[pytest.FixtureDef[object]]]:
    """Return the fixtures that parameters name for `request.getfixturevalue`, and those that these use."""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    words = [each if isinstance(each, list | tuple) else [each] for each in parameters]
    names = [word for word in itertools.chain(*words) if isinstance(word, str)]
    return item.session._fixturemanager.getfixtureclosure(item, names, set())[1]


@functools.cache
def _starts(function: object) -> bool:
    return any(_is_process(named) for named in _reachable(function, set()))


def _is_process(named: object) -> bool:
    if isinstance(named, types.ModuleType):
        return named.__name__ in ("subprocess", "multiprocessing")
    return isinstance(named, type) and issubclass(named, Process | Sandbox)


def _reachable(function: object, seen: set[int]) -> Iterator[object]:
    """Yield the objects that a function names, and those that functions and classes of the tests name in turn."""
    if id(function) in seen:
        return
    seen.add(id(function))
    for named in _named(function):
        yield named
        if isinstance(named, dict):  # such as the hosts by their names
            yield from named.values()
        if _file_of(named).startswith(TESTS):
            yield from _reachable(named, seen)


@functools.cache
def _named(function: object) -> list[object]:
    """Return the module's objects that the code of a function, or of a class's methods, names."""
    functions = [*vars(function).values()] if isinstance(function, type) else [inspect.unwrap(function)]  # type: ignore[arg-type]
    functions = [getattr(each, "__func__", getattr(each, "fget", each)) for each in functions]
    return [
        each.__globals__[name]
        for each in functions
        if isinstance(each, types.FunctionType)
        for name in _names_in(each.__code__)
        if name in each.__globals__
    ]


def _names_in(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names_in(constant)


def _file_of(named: object) -> str:
    if isinstance(named, types.FunctionType):
        return inspect.unwrap(named).__code__.co_filename
    module = sys.modules.get(named.__module__) if isinstance(named, type) else None
    return getattr(module, "__file__", None) or ""
