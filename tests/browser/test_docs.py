"""The API page in a real browser: the document's own examples work as they are filled in."""

import json

import pytest
from playwright.sync_api import Page, expect
from support.processes import Service

from sandbox import TOKEN

pytestmark = pytest.mark.browser


def test_a_call_from_the_page_as_its_example_is_filled_in(page: Page, site: Service) -> None:
    page.goto(f"{site.url}/docs")
    page.locator(".btn.authorize").click()
    ways = page.locator(".auth-container h4")
    expect(ways).to_have_count(1)
    expect(ways).to_contain_text("bearer")
    page.locator(".auth-container input").fill(TOKEN)
    page.locator(".auth-btn-wrapper .authorize").click()
    page.locator(".btn-done").click()
    page.locator(".opblock-post .opblock-summary").click()
    with page.expect_response("**/job**") as answered:
        page.locator(".opblock-post .execute").click()
    assert (answered.value.status, answered.value.request.url.partition("?")[2]) == (200, "")
    assert json.loads(answered.value.json()[0])["name"] == "tomer"
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    assert TOKEN not in page.url
