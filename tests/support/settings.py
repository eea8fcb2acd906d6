"""Make the settings of a service in front of a stand-in or a sandbox."""

from typing import Protocol

from app.settings import variable_of


class Server(Protocol):
    """Define the attribute of a stand-in or a sandbox that is needed here."""

    @property
    def url(self) -> str: ...


def environment(theeye: Server, **settings: object) -> dict[str, str]:
    """Return the environment variables of these settings; their names are those of `Settings`."""
    named = {"gateway_url": theeye.url, "supervisor_url": theeye.url} | settings
    return {variable_of(name): str(value) for name, value in named.items()}
