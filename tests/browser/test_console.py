"""The console in a real browser: run, read, watch, and nothing of a job or a token where it should not be."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from support.processes import Service
from support.sandbox import ECHO, FAILURE, TASK

from sandbox import CUSTOMER, TOKEN

pytestmark = pytest.mark.browser

SPANISH = pytest.mark.parametrize("page", ["es-AR"], indirect=True)
SCRIPT = "<script>window.ran = true; fetch('https://example.org/')</script><img src=x onerror='window.ran = true'>"


def open_console(page: Page, site: Service, path: str = "/console") -> None:
    page.goto(site.url + path)
    expect(page.locator("#mode option")).not_to_have_count(0)
    page.locator("#token").fill(TOKEN)
    page.locator("#customer").fill(CUSTOMER)


def run(page: Page, task: str, arguments: list[Any], mode: str = "") -> None:
    page.locator("#task-id").fill(task)
    page.locator("#arguments textarea").fill(json.dumps(arguments))
    page.locator("#mode").select_option(mode)
    before = page.locator("#runs li").count()
    page.locator("#run").click()
    expect(page.locator("#runs li")).to_have_count(before + 1)
    expect(page.locator("#progress")).to_be_hidden()


@pytest.mark.parametrize(
    ("mode", "argument", "status", "shown"),
    [
        ("", 100, "Status 200 · success", '{\\"name\\":\\"tomer\\"'),
        ("", 200, "Status 500 · failure", "Validation Error. Invalid Argument Value"),
        ("parse", 100, "Status 200 · success", 'name: "tomer"'),
        ("parse", 200, "Status 418 · failure", "statusCode: 418"),
    ],
)
def test_the_seeds_examples(mode: str, argument: int, status: str, shown: str, page: Page, site: Service) -> None:
    open_console(page, site)
    run(page, TASK, [argument], mode)
    expect(page.locator("#answer > p").first).to_have_text(status)
    expect(page.locator("#answer .tree")).to_contain_text(shown)


@pytest.mark.parametrize("path", ["/", "/console", "/console/"])
def test_the_page_at_each_of_its_paths(path: str, page: Page, site: Service) -> None:
    open_console(page, site, path)
    run(page, FAILURE, [], "result")
    expect(page.locator("#answer > p").first).to_have_text("Status 500 · failure")


def test_a_task_chosen_by_its_name(page: Page, site: Service) -> None:
    open_console(page, site)
    page.get_by_role("button", name="List the tasks").click()
    page.locator("#task").select_option(TASK)
    expect(page.locator("#by-id")).to_be_hidden()
    page.locator("#arguments input").fill("100")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#answer > p").first).to_have_text("Status 200 · success")


@SPANISH
def test_the_page_in_spanish(page: Page, site: Service) -> None:
    open_console(page, site)
    expect(page.get_by_role("button", name="Ejecutar")).to_be_visible()
    page.locator("#token").fill("wrong")
    run(page, TASK, [100])
    expect(page.locator(".advice")).to_contain_text("TheEye no conoce este token")
    page.locator("#language").select_option("en")
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_visible()


def test_what_a_job_prints_runs_no_script(page: Page, site: Service) -> None:
    open_console(page, site)
    for mode, output in (
        ("", SCRIPT),
        ("parse", SCRIPT),
        ("response", json.dumps({"body": SCRIPT, "headers": {"Content-Type": "text/html"}})),
    ):
        run(page, ECHO, [output], mode)
        expect(page.locator("#answer > p").first).to_have_text("Status 200 · success")
        assert page.evaluate("window.ran") is None
    expect(page.locator("#answer iframe")).to_have_attribute("sandbox", "")


def test_the_token_stays_in_the_page(page: Page, site: Service) -> None:
    open_console(page, site)
    run(page, TASK, [100])
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    curl = page.locator("#curl")
    assert "$TOKEN" in (curl.text_content() or "")
    for text in (
        page.url,
        page.evaluate("JSON.stringify(history.state)"),
        page.content(),
        curl.text_content(),
        site.log_text(),
    ):
        assert TOKEN not in (text or "")
    page.reload()
    expect(page.locator("#token")).to_have_value("")
