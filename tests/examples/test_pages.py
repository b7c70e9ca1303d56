"""The pages of the applications show the code of the applications."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "applications").glob("*.md"))
BLOCK = re.compile(r"^```py\n(.*?)^```$", re.MULTILINE | re.DOTALL)

OWN = {
    # what people write first, and what is wrong with it
    "async def transfer(self, payee: int, amount: int) -> None:  # in the payer's actor",
    "self.balance -= amount",
    "await accounts.via(payee).call(Account.credit, amount)",
    # values for a reader, in the place of variables
    'await games.via("lunch").call(Game.play, "Ann", "D4")',
    "async with open_pool(Connection, path, size=4) as pool:",
    "Connection.statement, numbers, retries=2, idempotent=True, on_progress=show",
}
"""Lines that are on a page only."""


def without_blanks(text: str) -> str:
    return re.sub(r"\s", "", text)


CODE = without_blanks("".join(file.read_text(encoding="utf-8") for file in (ROOT / "examples").rglob("*.py")))


def lines_of(page: Path) -> Iterator[str]:
    """The lines of code that a page shows. Where it leaves something out, it has three dots."""
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        yield from (line for text in block.splitlines() if (line := text.strip()) and not line.startswith("..."))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_line_of_code_that_a_page_shows_is_in_the_examples(page: Path) -> None:
    assert [line for line in lines_of(page) if without_blanks(line) not in CODE and line not in OWN] == []


def test_each_line_that_is_on_a_page_only_is_on_a_page() -> None:
    assert OWN - {line for page in PAGES for line in lines_of(page)} == set()
