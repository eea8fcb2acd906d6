"""Read recipes: tasks as TheEye exports them, one JSON file each."""

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.identity import CUSTOMER, CUSTOMER_ID, HOST_ID
from sandbox.jsontext import loads

DEFAULT_TIMEOUT = 10 * 60 * 1000
DEFAULT_LIMIT = 5
_LIMIT = "autoremove_completed_jobs_limit"
ID = re.compile(r"[0-9a-f]{24}")


@dataclass(frozen=True)
class Runnable:
    """Hold the document of a task or a workflow."""

    document: dict[str, Any]

    @property
    def id(self) -> str:
        """Return the id, 24 hex digits."""
        return str(self.document["id"])

    @property
    def name(self) -> str:
        """Return the name."""
        return str(self.document["name"])

    @property
    def description(self) -> str:
        """Return the description as one line."""
        return " ".join(str(self.document.get("description") or "").split())

    @property
    def history_limit(self) -> int | None:
        """Return after how many newer jobs or runs an ended one is deleted; None means never."""
        limit = int(self.document.get(_LIMIT) or DEFAULT_LIMIT)
        return None if limit < 0 or self.document.get("autoremove_completed_jobs") is False else limit


@dataclass(frozen=True)
class Task(Runnable):
    """Hold a task and its script; a dummy has none."""

    script: bytes
    filename: str

    @property
    def is_dummy(self) -> bool:
        """Return whether a job of the task ends at once, with its arguments as the output."""
        return bool(self.document["type"] == "dummy")

    @property
    def arguments(self) -> list[dict[str, Any]]:
        """Return the declared arguments in order."""
        return sorted(self.document["task_arguments"], key=lambda argument: argument.get("order") or 0)

    @property
    def workflow_id(self) -> str | None:
        """Return the id of the workflow that the task is a step of; such a task runs only in the workflow."""
        return self.document.get("workflow_id")

    @property
    def takes_any_arguments(self) -> bool:
        """Return whether undeclared arguments are accepted; a feature of the sandbox only."""
        return self.document.get("takes_any_arguments") is True

    @property
    def arguments_type(self) -> str:
        """Return how argument values are read: `legacy`, `json` or `text`."""
        return str(self.document.get("arguments_type") or "legacy")

    @property
    def default_state(self) -> str:
        """Return the state of a job whose script reports no state that TheEye knows."""
        return "failure" if self.document.get("default_state_evaluation") == "failure" else "success"


class BrokenRecipe(ValueError):
    """Report a recipe that cannot be used; the message says why."""


def read_recipe(path: Path) -> dict[str, Any]:
    """Read the recipe file of a task or a workflow. Raise BrokenRecipe or OSError."""
    try:
        recipe = loads(path.read_text("utf-8"))
    except ValueError as error:
        raise BrokenRecipe(f"it is not JSON: {error}") from error
    if not isinstance(recipe, dict):
        raise BrokenRecipe("it is not a JSON object")
    return recipe


def task_of(recipe: dict[str, Any], folder: Path) -> Task:
    """Return the task of a recipe; read a script without `data` from the folder. Raise BrokenRecipe or OSError."""
    if not isinstance(recipe.get("task"), dict):
        raise BrokenRecipe('it has no "task"; an exported recipe is {"task": {...}, "file": {...}}')
    document = _task_document(recipe["task"])
    if document["type"] == "dummy":
        return Task(document, b"", "")
    filename, script = _script(recipe.get("file"), folder)
    return Task(document, script, filename)


def _task_document(task: dict[str, Any]) -> dict[str, Any]:
    name = task.get("name")
    if not isinstance(name, str) or not name:
        raise BrokenRecipe("task.name is missing")
    document = {
        "enable": True,
        "host": HOST_ID,
        **task,
        "id": _task_id(task, name),
        "type": _one_of(task, "type", "script", {"script", "dummy"}),
        "task_arguments": _typed(task, "task_arguments", list, []),
        "timeout": _positive(task, "timeout", DEFAULT_TIMEOUT),
        "script_runas": _typed(task, "script_runas", str, "%script%"),
        "env": {key: str(value) for key, value in _typed(task, "env", dict, {}).items()},
        _LIMIT: _typed(task, _LIMIT, int, None if _LIMIT in task else DEFAULT_LIMIT),
        "customer_id": CUSTOMER_ID,
        "customer_name": CUSTOMER,
    }
    if not all(map(_is_argument, document["task_arguments"])):
        raise BrokenRecipe("task.task_arguments must be an array of objects; the order of each is a number")
    return document


def _is_argument(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("order") or 0, int | float)


def derived_id(name: str) -> str:
    """Return an id for a recipe without one; it is the same at each start."""
    return hashlib.sha1(name.encode()).hexdigest()[:24]


def _task_id(task: dict[str, Any], name: str) -> str:
    identifier = task.get("source_model_id") or task.get("id") or derived_id(name)
    if not isinstance(identifier, str) or not ID.fullmatch(identifier.lower()):
        raise BrokenRecipe(f"the task's id {identifier!r} is not 24 hex digits")
    return identifier.lower()


def _typed(task: dict[str, Any], key: str, kind: type, default: Any) -> Any:
    value = task.get(key)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise BrokenRecipe(f"task.{key} is of the wrong type: {value!r}")
    return value


def _positive(task: dict[str, Any], key: str, default: int) -> int:
    value = _typed(task, key, int, default)
    # TheEye reads 0 as "not set" in some places.
    return int(value) if value > 0 else default


def _one_of(task: dict[str, Any], key: str, default: str, known: set[str]) -> str:
    value = str(_typed(task, key, str, default))
    if value not in known:
        raise BrokenRecipe(f"task.{key} {value!r} is not one of {', '.join(sorted(known))}")
    return value


def _script(file: Any, folder: Path) -> tuple[str, bytes]:
    if not isinstance(file, dict) or not isinstance(file.get("filename"), str):
        raise BrokenRecipe("file.filename is missing")
    name = Path(file["filename"]).name
    if not name:
        raise BrokenRecipe("file.filename is empty")
    script = (folder / name).read_bytes() if file.get("data") is None else _decode(file["data"])
    found = hashlib.md5(script, usedforsecurity=False).hexdigest()
    if file.get("md5") and str(file["md5"]).lower() != found:
        raise BrokenRecipe(f"file.md5 is {file['md5']!r}, but the script has {found}")
    return name, script


def _decode(data: Any) -> bytes:
    try:
        # in a workflow's recipe it is a data: URL
        return base64.b64decode(str(data).partition("base64,")[2] or data, validate=True)
    except (TypeError, ValueError) as error:
        raise BrokenRecipe(f"file.data is not base64: {error}") from error
