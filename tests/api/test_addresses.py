"""Test the address of an answer: relative unless SYNC_PUBLIC_URL gives the beginning, and never at another host."""

from collections.abc import Callable

import pytest
from flask import Flask
from support.client import ask, post
from support.theeye import JOB, StandIn

HOST = {"X_Forwarded_Proto": "https", "X_Forwarded_Host": "api.example.org:8443"}


def address(app: Flask, theeye: StandIn, **headers: str) -> str:
    """Check that 504, 202, the 202 of a GET and a Link have the same address; return it without the job's path."""
    theeye.task(delay=None)
    client = app.test_client()
    late = post(client, f"{JOB}?parse&wait=0", **headers)
    job = f"{JOB}/{late.headers['X-Job-Id']}?parse"
    told = [late, ask(client, "GET", f"{job}&wait=0", **headers)]
    assert [got.status_code for got in told] == [504, 202]
    [found] = {got.headers["Location"] for got in told} | {got.get_json()["result_url"] for got in told}
    assert found.endswith(job)
    before = found.removesuffix(job)
    theeye.task(output=[], state="failure")
    failed = post(client, JOB, **headers)
    assert failed.headers["Link"] == f'<{before}{JOB}/{failed.headers["X-Job-Id"]}?result>; rel="describedby"'
    return before


@pytest.mark.parametrize(
    ("url", "proxies", "headers", "before"),
    [
        ("", 1, HOST | {"X_Forwarded_Prefix": "/sync"}, "/sync"),
        ("https://api.example.org/v1", 0, HOST | {"Host": "evil.example"}, "https://api.example.org/v1"),
        ("https://api.example.org", 1, {"X_Forwarded_Prefix": "/sync"}, "https://api.example.org"),
        ("auto", 0, HOST, ""),
        ("auto", 1, HOST | {"X_Forwarded_Prefix": "/sync"}, "https://api.example.org:8443/sync"),
        ("auto", 1, {"X_Forwarded_Proto": "http, https", "X_Forwarded_Host": "evil.example, [::1]"}, "https://[::1]"),
        ("auto", 2, HOST, ""),
        *(("auto", 1, {name: HOST[name]}, "") for name in HOST),
        ("auto", 1, HOST | {"X_Forwarded_Proto": "javascript"}, ""),
    ],
)
def test_what_stands_before_the_path(
    url: str, proxies: int, headers: dict[str, str], before: str, theeye: StandIn, make_app: Callable[..., Flask]
) -> None:
    assert address(make_app(public_url=url, proxies=proxies), theeye, **headers) == before


@pytest.mark.parametrize("public_url", ["", "auto"])
@pytest.mark.parametrize(
    ("prefix", "shown"),
    [
        ("//evil.example", "/evil.example"),
        ("///evil.example//x/", "/evil.example/x"),
        ("/\\evil.example", "/%5Cevil.example"),
        ("\\\\evil.example", "/%5C%5Cevil.example"),
        ("https://evil.example", "/https%3A/evil.example"),
        ("evil.example", "/evil.example"),
        ("/\t/evil.example", "/%09/evil.example"),
        ("/./../x", "/x"),
        ("/a?b#c", "/a%3Fb%23c"),
        ("/a;access_token=tok-b", ""),
    ],
)
def test_no_prefix_leads_to_another_host(
    public_url: str, prefix: str, shown: str, theeye: StandIn, make_app: Callable[..., Flask]
) -> None:
    app = make_app(public_url=public_url, proxies=1)
    assert address(app, theeye, X_Forwarded_Prefix=prefix) == shown


@pytest.mark.parametrize("host", ["evil.example/", "a b", "u@evil.example", "h:99999999", "h:x", "//h", "h\\"])
def test_a_host_that_is_none_stands_in_no_address(host: str, theeye: StandIn, make_app: Callable[..., Flask]) -> None:
    theeye.task(delay=None)
    client = make_app(public_url="auto", proxies=1).test_client()
    got = post(client, f"{JOB}?wait=0", **HOST | {"X_Forwarded_Host": host})
    assert got.status_code == 400 or got.headers["Location"].startswith(JOB)
