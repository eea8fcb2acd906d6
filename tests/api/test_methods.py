"""A slash at the end, and methods that a path does not have."""

import pytest
from flask.testing import FlaskClient
from support.client import ask, error_of, post
from support.theeye import (
    JOB,
)


def test_a_trailing_slash_is_served_without_a_redirect(client: FlaskClient) -> None:
    assert post(client, JOB + "/").status_code == 200
    assert post(client, "/" + JOB).status_code in (200, 404)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD"])
def test_another_method_is_405_with_allow(method: str, client: FlaskClient) -> None:
    got = ask(client, method, JOB)
    assert got.status_code == 405
    assert got.headers["Allow"] == "OPTIONS, POST"
    if method != "HEAD":
        error_of(got, 405, "EMETHOD")
