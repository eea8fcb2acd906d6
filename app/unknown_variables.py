"""Find SYNC_* variables that are no settings: without a warning a misspelt one would be ignored silently."""

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from functools import cache

from app.settings import CLIENT_TOKEN, CLIENT_URL, TOKEN_VARIABLE, Settings, variable_of

# Kubernetes sets these in every container for a Service called `sync` or `sync-…`.
_KUBERNETES_NAME = re.compile(
    r"SYNC_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_KUBERNETES_PORT = re.compile(r"(tcp|udp|sctp)://.*")  # the value of SYNC_PORT


def unknown_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return each SYNC_* variable in any case that is no setting, with the most similar name of a setting."""
    known = [variable_of(each.name) for each in fields(Settings)]
    no_settings = (TOKEN_VARIABLE, CLIENT_URL, CLIENT_TOKEN)
    return {
        name: _nearest(name, known)
        for name, value in sorted(environ.items())
        if name.upper().startswith("SYNC_") and name not in (*known, *no_settings) and not _is_kubernetes(name, value)
    }


@cache  # gunicorn's master warns; its workers inherit the cache and do not repeat it
def warn_of_unknown_variables() -> None:
    """Log a warning for each SYNC_* variable that is no setting."""
    for name, nearest in unknown_variables(os.environ).items():
        logging.getLogger("theeye_sync").warning("%s is no setting; the nearest is %s", name, nearest)


def has_its_words(setting: str, name: str) -> bool:
    """Return whether a setting's name contains every word of another name, as SYNC_WAIT_SECONDS those of sync_wait."""
    return set(name.upper().split("_")) <= set(setting.split("_"))


def _nearest(name: str, known: list[str]) -> str:
    candidates = [setting for setting in known if has_its_words(setting, name)] or known
    return get_close_matches(name.upper(), candidates, 1, 0)[0]


def _is_kubernetes(name: str, value: str) -> bool:
    is_port = name.endswith("_PORT") and _KUBERNETES_PORT.fullmatch(value) is not None
    return is_port or _KUBERNETES_NAME.fullmatch(name) is not None
