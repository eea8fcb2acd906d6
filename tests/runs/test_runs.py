"""A run: nothing is created once the grace is over."""

import pytest
from flask.testing import FlaskClient
from support.client import error_of, post
from support.theeye import StandIn

from app import Services


@pytest.mark.settings(grace_seconds=0)
def test_nothing_is_created_once_the_grace_is_over(services: Services, client: FlaskClient, theeye: StandIn) -> None:
    assert post(client).status_code == 200
    services.stop()
    assert "nothing was started" in error_of(post(client), 503, "EBUSY")["message"]
    assert len(theeye.calls_of("create")) == 1
