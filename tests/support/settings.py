"""The settings of a service in front of a stand-in."""

from __future__ import annotations

from app.settings import variable_of
from support.theeye import StandIn


def environment(theeye: StandIn, **settings: object) -> dict[str, str]:
    """The environment variables of these settings, which are named as in `Settings`."""
    named = {"gateway_url": theeye.url, "supervisor_url": theeye.url} | settings
    return {variable_of(name): str(value) for name, value in named.items()}
