"""Use the console and the API page in Debian's Chromium, with a service in front of a sandbox."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

from sandbox import CUSTOMER, TOKEN, Sandbox
from support.processes import Redis, Service, need
from support.settings import environment

# Without these options Chromium first looks for its own hosts, which this machine cannot reach.
QUIET = (
    "--no-first-run",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Debian's browser."""
    path = need("chromium", "chromium")
    arguments = [*QUIET, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    expect.set_options(timeout=30_000)  # a busy machine may be slow
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@contextmanager
def served_sandbox(redis: Redis, folder: Path) -> Iterator[Service]:
    """Run the service in front of a sandbox that stores its jobs in the folder."""
    with (
        Sandbox(database=folder / "theeye.sqlite3", redis_url=redis.url) as sandbox,
        Service(environment(sandbox, redis_url=redis.url), "gevent") as service,
    ):
        yield service


def open_console(page: Page, url: str, path: str = "/console") -> None:
    """Open the page, and fill in token and customer."""
    page.goto(url + path)
    expect(page.locator("#mode option")).not_to_have_count(0)
    page.locator("#token").fill(TOKEN)
    page.locator("#customer").fill(CUSTOMER)


def start(page: Page, task: str, arguments: list[Any], mode: str = "") -> None:
    """Start a task by its id."""
    page.locator("#task-id").fill(task)
    page.locator("#arguments textarea").fill(json.dumps(arguments))
    page.locator("#mode").select_option(mode)
    page.locator("#run").click()


def run(page: Page, task: str, arguments: list[Any], mode: str = "", status: str = "Status 200 · success") -> None:
    """Start a task, and expect its end."""
    before = page.locator("#runs li").count()
    start(page, task, arguments, mode)
    expect(page.locator("#runs li")).to_have_count(before + 1)
    expect(page.locator("#state")).to_have_text(status)


def authorize(page: Page) -> None:
    """Fill in the token on the API page."""
    page.locator(".btn.authorize").click()
    expect(page.locator(".auth-container h4")).to_contain_text("bearer")
    page.locator(".auth-container input").fill(TOKEN)
    page.locator(".auth-btn-wrapper .authorize").click()
    page.locator(".btn-done").click()
