"""Test the API page in a real browser: the document's own examples work as filled in."""

import json

import pytest
from playwright.sync_api import Page, Response
from support.browser import authorize
from support.nginx import UNDER_SYNC, Nginx
from support.processes import Service

from sandbox import TOKEN

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("path", ["", "/sync"], ids=["alone", "under nginx"])
def test_a_call_from_the_page_as_its_example_is_filled_in(path: str, page: Page, site: Service) -> None:
    with Nginx(site.port, changes=UNDER_SYNC) as nginx:
        page.goto(f"{nginx.url if path else site.url}{path}/docs")
        authorize(page)
        run = execute(page, "POST", "/{customer}/task/{task}/job")
        assert (run.status, run.request.url.partition("?")[2]) == (200, "wait=60"), "the default is filled in"
        assert json.loads(run.json()[0])["name"] == "tomer"
        again = execute(page, "GET", "/{customer}/task/{task}/job/{job}")
        assert (again.status, again.json()) == (200, run.json())
        run = execute(page, "POST", "/{customer}/workflow/{workflow}/job")
        again = execute(page, "GET", "/{customer}/workflow/{workflow}/job/{job}")
        assert (run.status, again.status, again.json()) == (200, 200, run.json())
        tasks = execute(page, "GET", "/{customer}/task")
        assert "Rest API Response" in [task["name"] for task in tasks.json()]
        assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
        assert TOKEN not in page.url


@pytest.mark.parametrize("kind", ["text/json", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_every_kind_of_body_has_an_example_that_works(kind: str, page: Page, site: Service) -> None:
    page.goto(f"{site.url}/docs")
    authorize(page)
    assert execute(page, "POST", "/{customer}/task/{task}/job", kind).status == 200


def execute(page: Page, method: str, path: str, kind: str = "") -> Response:
    operation = page.locator(".opblock").filter(has=page.locator(f'[data-path="{path}"]')).filter(has_text=method).first
    operation.locator(".opblock-summary-control").click()
    if kind:
        operation.get_by_label("Request content type").select_option(kind)
    with page.expect_response(lambda answer: answer.request.method == method) as answered:
        operation.locator(".execute").click()
    return answered.value
