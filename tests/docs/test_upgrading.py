"""Test docs/upgrading.md: it names every setting that is new or has changed, and no other."""

import re
from dataclasses import fields

from support.pages import read

from app.settings import Settings, variable_of

PAGE = "docs/upgrading.md"
UNCHANGED = {  # since 0.1
    *("gateway_url", "supervisor_url", "wait_seconds", "connect_timeout", "session_ttl", "max_job", "query_token"),
    *("cors_origins", "proxies", "plugins", "disabled_formatters", "call_timeout", "grace_seconds"),
}


def test_it_names_each_setting_that_is_new_or_has_changed() -> None:
    named = set(re.findall(r"`(SYNC_[A-Z_]+)[`=]", read(PAGE)))
    settings = {variable_of(each.name) for each in fields(Settings)}
    assert settings - {variable_of(name) for name in UNCHANGED} <= named <= settings
