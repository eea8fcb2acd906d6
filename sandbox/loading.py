"""Load the recipes of folders: tasks and workflows, one JSON file each."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.recipes import Task, read_recipe, task_of
from sandbox.workflow_recipes import Workflow, workflow_of

BUILT_IN = Path(__file__).parent / "tasks"
_logger = logging.getLogger(__name__)


@dataclass
class Recipes:
    """Hold the loaded tasks and workflows by id; `tasks` does not include those of the workflows."""

    tasks: dict[str, Task] = field(default_factory=dict)
    workflows: dict[str, Workflow] = field(default_factory=dict)

    def all_tasks(self) -> dict[str, Task]:
        """Return all tasks, including those of the workflows."""
        return self.tasks | {task.id: task for each in self.workflows.values() for task in each.tasks.values()}


def load_recipes(folders: Iterable[Path]) -> Recipes:
    """Load every recipe of the folders; a later one replaces an earlier one with the same id."""
    recipes = Recipes()
    for path in (path for folder in folders for path in _recipe_files(folder)):
        try:
            loaded = load_recipe(path)
        except (ValueError, OSError) as error:  # ValueError also for a file name with a null byte
            _logger.warning("skipped the recipe %s: %s", path, error)
            continue
        known: dict[str, Task] | dict[str, Workflow]
        known = recipes.workflows if isinstance(loaded, Workflow) else recipes.tasks
        if loaded.id in known:
            _logger.warning("the recipe %s replaces %r, which has its id", path, known[loaded.id].name)
        known.update({loaded.id: loaded})  # type: ignore[dict-item] # it is of the dictionary's kind
    return recipes


def load_recipe(path: Path) -> Task | Workflow:
    """Load one recipe file; one with a graph is a workflow. Raise BrokenRecipe or OSError."""
    recipe = read_recipe(path)
    return workflow_of(recipe, path.parent) if "graph" in recipe else task_of(recipe, path.parent)


def _recipe_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        _logger.warning("skipped the recipes folder %s: it is not a folder", folder)
    return sorted(folder.glob("*.json"))
