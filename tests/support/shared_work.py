"""What all applications of a test run make the same, made once: it took half of the time that one takes to make."""

import functools
import sys
from collections.abc import Callable
from typing import ClassVar

from werkzeug.routing import Rule

from app.factory import SyncFlask
from formatters import loading


class SharedRule(Rule):
    """A rule that has the functions which werkzeug compiles for it in common with its like of other applications."""

    builders: ClassVar[dict[object, Callable[..., tuple[str, str]]]] = {}

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        key = (self.rule, repr(self.defaults), append_unknown)
        if key not in self.builders:
            self.builders[key] = super()._compile_builder(append_unknown)
        return self.builders[key]


def share() -> None:
    """Let all applications share them, from now on."""
    SyncFlask.url_rule_class = SharedRule
    installed = functools.cache(_with_path(loading.installed))
    loading.installed = lambda: list(installed(tuple(sys.path)))  # a test's packages are in a folder of its own


def _with_path(find: Callable[[], list[loading.Source]]) -> Callable[[tuple[str, ...]], list[loading.Source]]:
    return lambda path: find()
