"""Finds the code of a plugin that SYNC_PLUGINS names."""

import sys
from importlib import import_module, util
from pathlib import Path
from types import ModuleType


def load(name: str) -> ModuleType:
    """Imports a plugin: a file when it ends in `.py`, else a module. Raises whatever its import raises."""
    return _load_file(Path(name)) if name.endswith(".py") else import_module(name)


def _load_file(path: Path) -> ModuleType:
    spec = util.spec_from_file_location(f"theeye_sync_plugin_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
