"""Print the lower bounds of the service's requirements in setup.cfg as constraints for pip: `flask==3.1.3`."""

import configparser
import re
import sys
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


def lowest(file: Path = CHECKOUT / "setup.cfg") -> Iterator[str]:
    """Yield a constraint for each requirement of the service that has a lower bound."""
    config = configparser.ConfigParser()
    config.read(file, "utf-8")
    extras = config["options.extras_require"]
    lines = [config["options"]["install_requires"], *(text for name, text in extras.items() if name != "dev")]
    for line in "\n".join(lines).splitlines():
        if bound := re.match(r"\s*([\w-]+)(?:\[\w+\])?\s*>=\s*([\w.]+)", line):
            yield f"{bound[1]}=={bound[2]}"


if __name__ == "__main__":
    sys.stdout.write("\n".join(lowest()) + "\n")
