"""Share between the applications of a test run what is equal in all: making it took half of the time of each."""

import functools
import sys
from collections.abc import Callable
from typing import ClassVar

from werkzeug.routing import Rule

from app.factory import SyncFlask
from formatters import loading


class SharedRule(Rule):
    """Share the functions that werkzeug compiles for a rule with the equal rules of other applications."""

    builders: ClassVar[dict[object, Callable[..., tuple[str, str]]]] = {}

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        key = (self.rule, repr(self.defaults), append_unknown)
        if key not in self.builders:
            self.builders[key] = super()._compile_builder(append_unknown)
        return self.builders[key]


def share() -> None:
    """Share rules and installed plugins between all applications, from now on."""
    SyncFlask.url_rule_class = SharedRule
    installed = functools.cache(_with_path(loading.installed))
    loading.installed = lambda: list(installed(tuple(sys.path)))  # a test's packages are in a folder of its own


def _with_path(find: Callable[[], list[loading.Source]]) -> Callable[[tuple[str, ...]], list[loading.Source]]:
    return lambda path: find()
