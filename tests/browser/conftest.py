"""Fixtures for the pages: Debian's Chromium, headless, before the service on the sandbox's TheEye."""

import os
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from support.processes import Service, need

# The machine's network is closed: without these Chromium looks for its own hosts first.
QUIET = (
    "--no-first-run",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = need("chromium", "chromium")
    arguments = [*QUIET, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    expect.set_options(timeout=30_000)  # a busy machine is slow, and not wrong
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def site(redis_demo_service: Service) -> Service:
    return redis_demo_service


@pytest.fixture
def page(browser: Browser, site: Service, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of its own profile. It asked no other host, its policy refused nothing, and no script of it failed."""
    wrong: list[str] = []
    context = browser.new_context(**{"locale": "en-US", **getattr(request, "param", {})})
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if "Policy" in message.text else None)
    page.on("request", lambda asked: wrong.append(asked.url) if is_foreign(asked.url, site.url) else None)
    yield page
    context.close()
    assert wrong == []


def is_foreign(address: str, home: str) -> bool:
    url = urlsplit(address)
    return url.scheme not in ("blob", "data", "about") and url.hostname != urlsplit(home).hostname
