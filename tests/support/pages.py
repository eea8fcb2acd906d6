"""Read the project's pages: code blocks, prose, headings."""

import re
from dataclasses import dataclass

from support.processes import CHECKOUT

ADDRESS = "http://127.0.0.1:6090"


def read(page: str) -> str:
    return (CHECKOUT / page).read_text()


@dataclass(frozen=True)
class Block:
    """Hold a fenced code block; `gap` is the text between it and the block before."""

    language: str
    text: str
    gap: str


def blocks(page: str) -> list[Block]:
    pieces = re.split(r"^```(\w*)\n(.*?)^```$", read(page), flags=re.DOTALL | re.MULTILINE)
    return [Block(*found) for found in zip(pieces[1::3], pieces[2::3], pieces[::3], strict=False)]


def prose(page: str) -> str:
    return re.sub(r"^```.*?^```$", "```", read(page), flags=re.DOTALL | re.MULTILINE)


def anchors(page: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def check_links(page: str) -> None:
    """Raise AssertionError for a link in the project that leads nowhere."""
    links = re.findall(r"\]\((?!https://)([^)\s]*)\)", prose(page))
    for link in links:
        path, _, anchor = link.partition("#")
        target = (CHECKOUT / page).parent / path if path else CHECKOUT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(str(target.resolve().relative_to(CHECKOUT))), link
