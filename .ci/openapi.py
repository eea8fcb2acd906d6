"""Generate openapi.json for the service and docs/postman.json from app/api/openapi.yaml, which people edit.

With `--check`, write nothing and exit with 1 if a file differs.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml
from postman import collection

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "app" / "api" / "openapi.yaml"


def converted(source: str) -> dict[Path, str]:
    """Return the files by their paths; leave out the top-level `x-` sections of the YAML, which hold repeated parts."""
    document: dict[str, Any] = yaml.safe_load(source)
    kept = {name: part for name, part in document.items() if not name.startswith("x-")}
    made = {SOURCE.with_suffix(".json"): kept, ROOT / "docs" / "postman.json": collection(kept)}
    return {path: json.dumps(node, ensure_ascii=False, indent=1) + "\n" for path, node in made.items()}


def main(options: list[str]) -> int:
    """Write or compare the files; return the exit status."""
    for path, wanted in converted(SOURCE.read_text(encoding="utf-8")).items():
        if options != ["--check"]:
            path.write_text(wanted, encoding="utf-8")
        elif path.read_text(encoding="utf-8") != wanted:
            sys.stderr.write(f"{path.relative_to(ROOT)} is not what app/api/openapi.yaml says: run `make openapi`\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
