"""The pages of the applications show the code of the applications."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from support.doc_blocks import ROOT, Block, ran_by

BLOCKS = ran_by("tests/examples/test_pages.py")
CODE_BLOCKS = [block for block in BLOCKS if block.tag == "py"]

OWN = {
    # values for a reader, in the place of variables
    'await games.via("lunch").call(Game.play, "Ann", "D4")',
    "async with open_pool(Connection, path, size=4) as pool:",
    "Connection.statement, numbers, retries=2, idempotent=True, on_progress=show",
}
"""Lines that are on a page only."""


def without_blanks(text: str) -> str:
    return re.sub(r"\s", "", text)


CODE = without_blanks("".join(file.read_text(encoding="utf-8") for file in (ROOT / "examples").rglob("*.py")))


def lines_of(block: Block) -> Iterator[str]:
    """The lines of code that a page shows. Where it leaves something out, it has three dots."""
    yield from (line for text in block.code.splitlines() if (line := text.strip()) and not line.startswith("..."))


@pytest.mark.parametrize("block", CODE_BLOCKS, ids=lambda block: block.place)
def test_each_line_of_code_that_a_page_shows_is_in_the_examples(block: Block) -> None:
    assert [line for line in lines_of(block) if without_blanks(line) not in CODE and line not in OWN] == []


def test_each_line_that_is_on_a_page_only_is_on_a_page() -> None:
    assert OWN - {line for block in CODE_BLOCKS for line in lines_of(block)} == set()


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.tag != "py"], ids=lambda block: block.place)
def test_each_class_and_method_in_a_drawing_is_in_the_examples(block: Block) -> None:
    """A drawing is no output. Its names are those of the code, and of people."""
    code = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "examples").rglob("*.py"))
    names = set(re.findall(r"\b[A-Z][a-z]\w+\b|\b\w+\.\w+(?=\()|\b\w+(?=:)", block.code))
    assert {name for name in names if not re.search(rf"\b{re.escape(name)}\b", code)} == set()
