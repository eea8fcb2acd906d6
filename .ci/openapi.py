"""Write app/api/openapi.json, which the service reads, from app/api/openapi.yaml, which people edit.

With `--check` nothing is written: the exit status is 1 where the two differ.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

SOURCE = Path(__file__).parent.parent / "app" / "api" / "openapi.yaml"
TARGET = SOURCE.with_suffix(".json")


def converted(source: str) -> str:
    """Return the JSON of a YAML document, without the top-level `x-` sections: they only hold parts to repeat."""
    document: dict[str, Any] = yaml.safe_load(source)
    kept = {name: part for name, part in document.items() if not name.startswith("x-")}
    return json.dumps(kept, ensure_ascii=False, indent=1) + "\n"


def main(options: list[str]) -> int:
    """Write the file, or compare it."""
    wanted = converted(SOURCE.read_text(encoding="utf-8"))
    if options == ["--check"]:
        if TARGET.read_text(encoding="utf-8") == wanted:
            return 0
        sys.stderr.write("app/api/openapi.json is not what app/api/openapi.yaml says: run `make openapi`\n")
        return 1
    TARGET.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
