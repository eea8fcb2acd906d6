"""Test the console in a real browser: run, read and watch jobs, and show no job or token where it does not belong."""

import hashlib
import json

import pytest
from playwright.sync_api import Page, expect
from support.browser import open_console, run, start
from support.nginx import UNDER_SYNC, Nginx
from support.processes import Service
from support.sandbox import BRANCHES, CHECKSUM, ECHO, FAILURE, PICTURE, SHIPPING, SLEEPER, TASK

from sandbox import CUSTOMER, TOKEN

pytestmark = pytest.mark.browser

SPANISH = pytest.mark.parametrize("page", [{"locale": "es-AR"}], indirect=True)
TELEPHONES = [{"viewport": {"width": 390, "height": 844}, "color_scheme": scheme} for scheme in ("dark", "light")]
SCRIPT = "<script>window.ran = true; fetch('https://example.org/')</script><img src=x onerror='window.ran = true'>"
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><circle r="4"/>{SCRIPT.split("<img")[0]}</svg>'

WATCH = """(name) => new MutationObserver(() => {  // the task is active for a second: expect() may look too late
  window.lit ||= [...document.querySelectorAll("#graph .active")].some(({ textContent }) => textContent.includes(name));
}).observe(document.querySelector("#graph"), { subtree: true, childList: true, attributes: true })"""


def described(body: str, content_type: str) -> list[str]:
    return [json.dumps({"body": body, "headers": {"Content-Type": content_type}})]


# -- a run ------------------------------------------------------------------------------------------------------


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
    open_console(page, site.url)
    run(page, TASK, [argument], mode, status)
    expect(page.locator("#answer .tree")).to_contain_text(shown)
    times = page.locator("#answer .timing")
    expect(times.locator("th")).to_have_text(["session", "create", "wait", "read", "format"])
    assert float(times.locator("meter").nth(2).get_attribute("value") or 0) > 0
    for header in ("x-job-state", "x-request-id"):
        expect(page.locator("#answer details table")).to_contain_text(header)


def test_a_script_that_crashed(page: Page, site: Service) -> None:
    open_console(page, site.url)
    run(page, SLEEPER, ["many"])
    expect(page.locator("#answer .advice")).to_contain_text("exit code 1")
    run(page, SLEEPER, ["0"])
    expect(page.locator("#answer .advice")).to_have_count(0)


def test_the_log_of_a_job_that_failed(page: Page, site: Service) -> None:
    """It is fetched, in another mode: the task does not run again."""
    open_console(page, site.url)
    run(page, FAILURE, [], status="Status 500 · failure")
    expect(page.locator("#answer .advice")).to_contain_text("choose the mode “result” and fetch")
    page.locator("#mode").select_option("result")
    page.get_by_role("button", name="Fetch the answer").click()
    expect(page.locator("#answer .advice")).to_contain_text("in the answer below")
    assert "about to fail\\n\nsomething is wrong" in page.locator("#answer .tree").inner_text()
    [again, first] = page.locator("#runs button span").all_inner_texts()
    assert again == first


def test_a_call_that_is_refused(page: Page, site: Service) -> None:
    open_console(page, site.url)
    run(page, TASK, [], status="Status 400")
    expect(page.locator(".advice")).to_contain_text("An array of length 1 is required")
    page.locator("#token").fill("a\u200bb")  # pasted with a character that a header does not take
    page.locator("#run").click()
    assert "a character that no token has" in page.locator("#token").evaluate("(field) => field.validationMessage")
    expect(page.locator("#runs li")).to_have_count(1)


@pytest.mark.parametrize("path", ["/", "/console", "/console/"])
def test_the_page_at_each_of_its_paths(path: str, page: Page, site: Service) -> None:
    open_console(page, site.url, path)
    run(page, FAILURE, [], "result", "Status 500 · failure")


def test_a_task_chosen_by_its_name_with_a_file(page: Page, site: Service) -> None:
    data = bytes(range(256)) * 100
    open_console(page, site.url)
    page.get_by_role("button", name="List the tasks").click()
    page.get_by_role("combobox", name="Task").select_option("Checksum")
    expect(page.get_by_label("Task id")).to_be_hidden()
    page.get_by_label("file").set_input_files({"name": "data.bin", "mimeType": "", "buffer": data})
    page.get_by_role("combobox", name="algorithm").select_option("SHA-512")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#answer .tree")).to_contain_text(f'sha512: "{hashlib.sha512(data).hexdigest()}"')
    expect(page.locator("#curl")).to_contain_text(f"/{CUSTOMER}/task/{CHECKSUM}/job?parse' \\")
    expect(page.locator("#curl")).to_contain_text("@body.json")


def test_a_field_for_each_argument(page: Page, site: Service) -> None:
    """The page gets a task here that the sandbox does not have."""
    kinds = [{"type": "fixed"}, {"type": "input", "readonly": True}, {"type": "input", "value": 7}, {"type": "date"}]
    kinds += [{"type": "select", "value": 2, "options": [{"id": 1, "label": "one"}, {"id": 2, "label": "two"}]}]
    kinds += [{"type": "input", "label": "Password"}, {"type": "input"}]
    kinds += [
        {"type": "select", "value": ["a"], "multiple": True, "options": ["a", "b"]},
        {"type": "input", "masked": True},
    ]
    kinds += [{"type": "json", "value": {"a": [1]}}, {"type": "json"}]
    kinds += [{"type": "date", "value": "2026-11-25T10:00:00Z"}, {"type": "input", "value": "two\nlines"}]
    task = {"id": TASK, "name": "All", "task_arguments": [{"order": order, **kind} for order, kind in enumerate(kinds)]}
    page.route("**/task?limit=*", lambda route: route.fulfill(json=[task]))
    open_console(page, site.url)
    page.get_by_role("button", name="List the tasks").click()
    page.get_by_role("combobox", name="Task").select_option("All")
    fields = page.locator("#arguments :is(input, select, textarea)")
    for index, value in ((3, "2026-11-25"), (5, "s3cret"), (10, "{")):
        fields.nth(index).fill(value)
    fields.nth(7).select_option(["a", "b"])
    with page.expect_response("**/task?limit=*"), page.expect_response("**/workflow?limit=*"):
        page.get_by_role("button", name="List the tasks").click()  # what was typed stays
    expect(page.locator("#listed")).to_contain_text("1 task")
    page.locator("#run").click()
    assert fields.nth(10).evaluate("(field) => field.validationMessage") == "This is not JSON."
    fields.nth(10).fill("")
    with page.expect_request("**/job?parse") as sent:
        page.locator("#run").click()
    values = [None, None, "7", "2026-11-25", "2", "s3cret", None, ["a", "b"], None, '{"a":[1]}', None]
    assert sent.value.post_data_json == {"task_arguments": [*values, "2026-11-25T10:00:00Z", "two\nlines"]}
    assert [index for index in range(len(kinds)) if fields.nth(index).is_disabled()] == [0, 1]
    assert [index for index in range(len(kinds)) if fields.nth(index).get_attribute("type") == "password"] == [5, 8]


def test_a_workflow_lights_up(page: Page, site: Service) -> None:
    open_console(page, site.url)
    page.get_by_role("button", name="List the tasks").click()
    page.get_by_role("combobox", name="Task").select_option("Order in two branches")
    page.locator("#arguments input").fill("7")
    page.evaluate(f"({WATCH})('Reserve the items')")
    page.locator("#run").click()
    expect(page.locator("#graph .good")).to_have_count(3)
    assert page.evaluate("window.lit") is True
    expect(page.locator("#lifecycles")).to_contain_text("Read the order: finished")
    expect(page.locator("#answer .tree")).to_contain_text("reserved: 2")
    expect(page.locator("#curl")).to_contain_text(f"/{CUSTOMER}/workflow/{BRANCHES}/job?parse' \\")
    page.get_by_role("combobox", name="Task").select_option("")
    run(page, f"workflow/{SHIPPING}", [200], "parse", "Status 409 · failure")
    expect(page.locator("#graph .bad")).to_contain_text("Check the stock")


def test_a_workflow_whose_tasks_are_not_shown_to_the_token(page: Page, site: Service) -> None:
    ids = {SHIPPING: ["a" * 24], BRANCHES: []}
    listed = [
        {
            "id": key,
            "name": key,
            "task_arguments": [],
            "tasks": [{"id": task, "name": None} for task in tasks],
            "edges": [],
        }
        for key, tasks in ids.items()
    ]
    page.route("**/workflow?limit=1000", lambda route: route.fulfill(json=listed))
    open_console(page, site.url)
    page.get_by_role("button", name="List the tasks").click()
    expect(page.locator("#task option", has_text=SHIPPING)).to_have_count(1)
    for workflow, status, boxes in ((SHIPPING, "Status 409 · failure", 1), (BRANCHES, "Status 200 · success", 0)):
        page.get_by_role("combobox", name="Task").select_option("")
        run(page, f"workflow/{workflow}", [200], "parse", status)
        expect(page.locator("#graph g")).to_have_count(boxes)


def test_a_number_keeps_all_its_digits(page: Page, site: Service) -> None:
    open_console(page, site.url)
    run(page, ECHO, [{"id": 12345678901234567890}], "parse")
    expect(page.locator("#answer .tree")).to_contain_text("id: 12345678901234567890")


# -- a wait -----------------------------------------------------------------------------------------------------


def test_a_wait_that_is_watched_and_cancelled(page: Page, site: Service) -> None:
    open_console(page, site.url)
    for _ in range(3):  # from here on it is known how long a run takes
        run(page, SLEEPER, [0.1])
    start(page, SLEEPER, [600])
    expect(page.locator("#lifecycles li")).to_contain_text(["ready", "assigned"])
    expect(page.locator("#clock")).to_contain_text("usually")
    assert 0.1 < float(page.locator("#progress").get_attribute("max") or 0) / 1000 < 600
    expect(page.locator("#state")).to_have_text("Running…")
    expect(page.locator("#shown-title")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#shown-title")).to_be_focused()  # the button goes
    expect(page.locator("#lifecycles li")).to_contain_text(["ready", "assigned", "terminated"])
    expect(page.locator("#state")).to_contain_text("Status 500 · canceled · Cancelled")
    expect(page.locator(".advice")).to_have_count(0)
    page.locator("#runs button").last.click()
    expect(page.locator("#state")).to_have_text("Status 200 · success")


def test_a_wait_under_a_path_of_nginx(page: Page, site: Service) -> None:
    """Events come through nginx one by one, and all addresses stay below its path."""
    with Nginx(site.port, changes=UNDER_SYNC) as nginx:
        open_console(page, nginx.url, "/sync/console/")
        page.get_by_role("button", name="List the tasks").click()
        expect(page.locator("#listed")).to_have_text("12 tasks, 3 workflows")
        start(page, SLEEPER, [600])
        expect(page.locator("#lifecycles li")).to_contain_text(["ready", "assigned"])
        expect(page.locator("#curl")).to_contain_text(f"{nginx.url}/sync/{CUSTOMER}/task/")
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#state")).to_contain_text("Status 500 · canceled")
        page.get_by_role("link", name="API").click()
        expect(page).to_have_url(f"{nginx.url}/sync/docs")


def test_an_answer_that_comes_later_is_fetched(page: Page, site: Service) -> None:
    """The stream ends with an error event; the job goes on."""
    open_console(page, site.url)
    page.locator("#wait").fill("0.2")
    start(page, SLEEPER, [3])
    expect(page.locator("#state")).to_have_text("Status 504")
    expect(page.locator(".advice")).to_contain_text("Fetch its answer later")
    page.locator("#wait").fill("")
    page.get_by_role("button", name="Fetch the answer").click()
    expect(page.locator("#runs button")).to_have_count(2)


def test_a_connection_that_is_cut(page: Page, site: Service) -> None:
    """The route cuts the stream in the middle; the page still knows its job."""
    event = f'event: job\nid: {"a" * 24}:\ndata: {{"id": "{"a" * 24}", "location": ""}}\n\n'
    page.route("**/job*", lambda route: route.fulfill(body=event, content_type="text/event-stream"))
    open_console(page, site.url)
    start(page, TASK, [100])
    expect(page.locator("#state")).to_contain_text("The connection was cut. The job goes on")
    page.unroute("**/job*")
    page.route("**/job/*", lambda route: route.abort())
    page.get_by_role("button", name="Fetch the answer").click()
    expect(page.locator("#runs button").first).to_contain_text(f"✕ · {'a' * 24}")


# -- what a job answers with ------------------------------------------------------------------------------------


def test_what_a_job_prints_runs_no_script(page: Page, site: Service) -> None:
    open_console(page, site.url)
    for mode, output in (("", [SCRIPT]), ("parse", [SCRIPT]), ("response", described(SCRIPT, "text/html"))):
        run(page, ECHO, output, mode)
    expect(page.locator("#answer iframe")).to_have_attribute("sandbox", "")
    run(page, ECHO, described(SVG, "image/svg+xml"), "response")
    assert page.evaluate("document.querySelector('#answer img').decode().then(() => window.ran)") is None
    assert page.locator("svg, #answer script").count() == 0


def test_a_picture_and_a_file(page: Page, site: Service) -> None:
    open_console(page, site.url)
    run(page, PICTURE, [], "response")
    assert page.evaluate("(async (image) => (await image.decode(), image.naturalWidth))(document.images[1])") == 64
    run(page, ECHO, described("a,b\r\n", "text/csv"), "response")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download").click()
    assert (saved.value.suggested_filename, saved.value.path().read_bytes()) == ("answer.csv", b"a,b\r\n")
    encoded = {"body": "6Q==", "isBase64Encoded": True, "headers": {"Content-Type": "text/javascript; charset=latin1"}}
    run(page, ECHO, [json.dumps(encoded)], "response")
    expect(page.locator("#answer pre").first).to_have_text("\xe9")
    expect(page.get_by_role("link", name="Download answer.js")).to_be_visible()


# -- whoever uses it ----------------------------------------------------------------------------------------------


@SPANISH
def test_the_page_in_spanish(page: Page, site: Service) -> None:
    open_console(page, site.url)
    expect(page.get_by_role("button", name="Ejecutar")).to_be_visible()
    page.locator("#token").fill("wrong")
    run(page, TASK, [100], status="Status 401")
    expect(page.locator(".advice")).to_contain_text("TheEye no conoce este token")
    expect(page.locator("#clock")).to_contain_text(",")  # the decimal comma
    page.locator("#language").focus()
    page.locator("#language").select_option("en")
    expect(page.locator("#language")).to_be_focused()
    expect(page.locator("#listed")).to_contain_text("TheEye does not know this token")
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_visible()
    expect(page.locator(".advice")).to_contain_text("TheEye does not know this token")
    expect(page.locator("#clock")).to_contain_text(".")


def test_by_keyboard_alone(page: Page, site: Service) -> None:
    page.goto(f"{site.url}/")
    expect(page.locator("#mode option")).not_to_have_count(0)
    page.locator("#language").focus()
    for text in (TOKEN, CUSTOMER, "", "", TASK, ""):  # past the button and the list of tasks
        page.keyboard.press("Tab")
        page.keyboard.type(text)
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("[1")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#arguments textarea")).to_be_focused()  # it is no JSON array: the browser says so
    page.keyboard.press("End")
    page.keyboard.type("]")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_have_text("Status 200 · success")


@pytest.mark.parametrize("page", TELEPHONES, indirect=True, ids=["dark", "light"])
@pytest.mark.parametrize("path", ["/console", "/docs"])
def test_a_telephone(path: str, page: Page, site: Service) -> None:
    """Nothing is wider than the screen, and the text is bright where the scheme is dark."""
    if path == "/console":
        open_console(page, site.url)
        run(page, ECHO, ["x" * 500])
    else:
        page.goto(f"{site.url}/docs")
        page.locator(".opblock-post .opblock-summary").first.click()
        expect(page.locator(".opblock-post .execute").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    red = page.evaluate("Number(getComputedStyle(document.querySelector('h1, h2')).color.match(/\\d+/)[0])")
    assert (red > 128) == page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")


def test_the_token_stays_in_the_page(page: Page, site: Service) -> None:
    open_console(page, site.url)
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
