"""Serve TheEye's asynchronous tasks as synchronous API calls."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.factory import EXTENSION, Services, Settings, SettingsError, create_app

__all__ = ["EXTENSION", "Services", "Settings", "SettingsError", "create_app"]


def __getattr__(name: str) -> Any:
    """Load the factory at its first use (PEP 562): without Flask the command line starts in half the time."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("app.factory"), name)
