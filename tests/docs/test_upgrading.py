"""Test docs/upgrading.md: the names in it exist."""

import re
from dataclasses import fields

from support.pages import read

from app.settings import Settings, variable_of

PAGE = "docs/upgrading.md"


def test_each_setting_it_names_exists() -> None:
    named = set(re.findall(r"`(SYNC_[A-Z_]+)[`=]", read(PAGE)))
    assert len(named) > 10
    assert named <= {variable_of(each.name) for each in fields(Settings)}
