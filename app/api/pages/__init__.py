"""Serve the console and the API page. They load nothing from another host, and have no inline scripts."""

from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from flask import Blueprint, request, send_from_directory

from app.api.request import current_services
from app.api.responses import Response, respond
from app.errors import NotFound

blueprint = Blueprint("pages", __name__)

_OWN = Path(str(files(__package__)))
_VIEWER = "flask_swagger_ui"  # carries the files of Swagger UI 5; its own blueprint has inline scripts
_HEADERS = [
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
]


@blueprint.route("/", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def home() -> Response:
    """Show the console to a browser; answer 404 to other clients, whatever the method."""
    prefers_html = request.accept_mimetypes.best_match(("application/json", "text/html")) == "text/html"
    if not (prefers_html and request.method in ("GET", "HEAD") and current_services().settings.console):
        raise NotFound(f"/ not found; look at {' and '.join(_served())}")
    return _page("console.html")


@blueprint.get("/console")
def console() -> Response:
    """Show the console: run a task from the browser."""
    _check_console()
    return _page("console.html")


@blueprint.get("/console/<name>")
def console_file(name: str) -> Response:
    """Return a file of the console."""
    _check_console()
    return _file(_OWN / "console", name)


@blueprint.get("/docs")
def api_page() -> Response:
    """Show the interface in Swagger UI, which can call it with the reader's token."""
    _viewer()
    return _page("docs.html")


@blueprint.get('/docs/<any("docs.css", "docs.js"):name>')
def api_page_file(name: str) -> Response:
    """Return the script that starts Swagger UI, or our style sheet for it."""
    _viewer()
    return _file(_OWN, name)


@blueprint.get('/docs/<any("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"):name>')
def swagger_ui(name: str) -> Response:
    """Return a file of Swagger UI."""
    return _file(_viewer(), name)


def _served() -> list[str]:
    """Return the paths of the pages that are served."""
    settings = current_services().settings
    pages = {"/console": settings.console, "/docs": settings.docs and find_spec(_VIEWER), "/openapi.json": True}
    return [path for path, is_on in pages.items() if is_on]


def _check_console() -> None:
    if not current_services().settings.console:
        raise NotFound(f"{request.path} not found")


def _viewer() -> Path:
    """Return the folder of Swagger UI's files. Raise NotFound if the page is off or they are not installed."""
    if not current_services().settings.docs:
        raise NotFound(f"{request.path} not found")
    spec = find_spec(_VIEWER)
    if spec is None or spec.origin is None:
        raise NotFound("The API page needs Swagger UI: pip install 'theeye-sync[docs]'. /openapi.json needs nothing")
    return Path(spec.origin).parent / "dist"


def _page(name: str) -> Response:
    """Return a page with relative addresses that are right with and without a slash at the end of its path."""
    base = "../" if request.path.rstrip("/") and request.path.endswith("/") else "./"
    text = (_OWN / name).read_text("utf-8").replace("{base}", base)
    text = text.replace("{docs}", "" if current_services().settings.docs and find_spec(_VIEWER) else "hidden")
    return respond(200, text.encode(), "text/html; charset=utf-8", _HEADERS)


def _file(folder: Path, name: str) -> Response:
    response = send_from_directory(folder, name)
    response.headers.extend(_HEADERS)
    return response  # type: ignore[return-value]  # flask.Response stands for the application's response_class
