"""The settings of a service in front of a stand-in or a sandbox."""

from typing import Protocol

from app.settings import variable_of


class Server(Protocol):
    """A stand-in or a sandbox."""

    @property
    def url(self) -> str: ...


def environment(theeye: Server, **settings: object) -> dict[str, str]:
    """The environment variables of these settings, which are named as in `Settings`."""
    named = {"gateway_url": theeye.url, "supervisor_url": theeye.url} | settings
    return {variable_of(name): str(value) for name, value in named.items()}
