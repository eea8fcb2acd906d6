"""python -m browser (`make screenshots`): draw the pictures of both pages for README.md and docs/clients.md."""

import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect
from support.browser import authorize, chromium, open_console, served_sandbox
from support.processes import CHECKOUT, Redis

IMAGES = CHECKOUT / "docs" / "images"


def main() -> None:
    """Draw the pictures in front of a sandbox, in the light colour scheme."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Redis() as redis,
        served_sandbox(redis, Path(folder)) as service,
        chromium() as browser,
    ):
        for draw in (console, api):
            with browser.new_page(locale="en-US", viewport={"width": 1200, "height": 860}) as page:
                draw(page, service.url)
                page.screenshot(path=IMAGES / f"{draw.__name__}.png", full_page=draw is console)


def console(page: Page, url: str) -> None:
    """Draw the console with some runs, the last one of which is shown."""
    open_console(page, url)
    page.get_by_role("button", name="List the tasks").click()
    page.get_by_role("combobox", name="Mode").select_option("parse")
    for task, argument in (
        ("Sleeper", "0.5"),
        *[("Rest API Response", number) for number in ("100", "100", "200", "100")],
    ):
        page.get_by_role("combobox", name="Task").select_option(task)
        page.locator("#arguments input").fill(argument)
        page.get_by_role("button", name="Run", exact=True).click()
        expect(page.locator("#answer .timing")).to_be_visible()
    page.mouse.move(0, 0)


def api(page: Page, url: str) -> None:
    """Draw the API page with the call that runs a task."""
    page.goto(f"{url}/docs")
    authorize(page)
    page.locator(".opblock-post .opblock-summary-control").first.click()
    expect(page.locator(".opblock-post .execute").first).to_be_visible()
    page.locator(".opblock-tag-section").first.scroll_into_view_if_needed()


if __name__ == "__main__":
    main()
