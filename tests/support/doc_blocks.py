"""The code blocks of the README and of the docs, and which tests run each of them.

A test takes its blocks from `ran_by`, so what `RUNNERS` says of a block is what happens to it.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import cast

from attrs import frozen

ROOT = Path(__file__).parents[2]

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]

FENCE = re.compile(r"^( *)(`{3,})([^\n`]*)\n(.*?)^\1\2$", re.MULTILINE | re.DOTALL)

DIRECTIVE = re.compile(r"\{(diagram|eval-rst|house|house-files|include|list-table|raw|toctree)\}")
"""A fence that holds no code."""

HEADING = re.compile(r"^##+ ", re.MULTILINE)


@frozen
class Block:
    """A block of a page.

    Attributes:
        page: The path of the page, as in ``docs/actors.md``.
        line: The line of the fence.
        tag: The language.
        code: What stands in the block, without the indentation of the fence.
        before: The paragraph before the block.
        after: The paragraph after it.
        section: How many headings are above it.
        follows: The tag of the block before it on its page.
    """

    page: str
    line: int
    tag: str
    code: str
    before: str
    after: str
    section: int
    follows: str

    @property
    def start(self) -> str:
        """The first line of the code: the name of the block on its page."""
        return self.code.split("\n", 1)[0]

    @property
    def printed(self) -> str:
        """What it prints: the sentence below the block says so, in which each line stands in backticks."""
        said = re.match(r"It prints .*?(?=With trioreg|The same with)", self.after)
        assert said is not None, self.place
        return "".join(f"{line}\n" for line in re.findall(r"`([^`]+)`", said[0]))

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    def run(self, /, **names: object) -> dict[str, object]:
        """Run the block as the top level of a module that has these names."""
        namespace: dict[str, object] = {"__name__": "__main__", **names}
        exec(compile("\n" * self.line + self.code, str(ROOT / self.page), "exec"), namespace)
        return namespace

    async def run_in_function(self, /, **names: object) -> object:
        """Run the block as the body of an async function: what it returns, or else its variables."""
        body = textwrap.indent(self.code, "    ")
        source = "\n" * (self.line - 1) + f"async def shown():\n{body}    return locals()\n"
        exec(compile(source, str(ROOT / self.page), "exec"), names)
        function = cast("Callable[[], Awaitable[object]]", names["shown"])
        return await function()


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    follows = ""
    for fence in FENCE.finditer(text):
        indent, _, tag, code = fence.groups()
        if DIRECTIVE.fullmatch(tag.split(" ")[0]):
            continue
        yield Block(
            page.relative_to(ROOT).as_posix(),
            text.count("\n", 0, fence.start()) + 1,
            tag.strip(),
            "".join(line.removeprefix(indent) for line in code.splitlines(keepends=True)),
            " ".join(text[: fence.start()].rstrip().rsplit("\n\n", 1)[-1].split()),
            " ".join(text[fence.end() :].lstrip().split("\n\n", 1)[0].split()),
            len(HEADING.findall(text, 0, fence.start())),
            follows,
        )
        follows = tag


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def block(page: str, start: str) -> Block:
    """The block of that page that begins with that line."""
    found = [block for block in BLOCKS if (block.page, block.start) == (page, start)]
    assert len(found) == 1, f"{len(found)} blocks of {page} begin with {start!r}"
    return found[0]


IS_SAVED = re.compile(r"# \w+\.py")
"""The first line of a program that a reader saves."""

WRONG = ("docs/seeing.md", "docs/how-to/debug-a-hang.md")
TESTING = ("docs/testing.md", "docs/how-to/testing.md", "docs/tutorial/9-tested.md")
TO_WATCH = ("docs/start.md", "docs/tutorial/4-a-supervisor.md", "docs/tutorial/8-seen.md")


def is_of_a_saved_program(block: Block) -> bool:
    """It is such a program, or an output below it."""
    return block.page in WRONG and any(
        other.tag == "py" and IS_SAVED.fullmatch(other.start) and other.section == block.section
        for other in BLOCKS
        if other.page == block.page and other.line <= block.line
    )


def is_drawing(block: Block) -> bool:
    """A picture made of characters: no output of a program."""
    return block.tag in ("none", "text") and re.search(r"->|──|^ +\|$", block.code, re.MULTILINE) is not None


RUNNERS: Mapping[str, Callable[[Block], bool]] = {
    "tests/test_docs.py, README": lambda block: (
        block.page == "README.md" and block.tag in ("python", "text", "py", "none")
    ),
    "tests/test_docs.py, pages": lambda block: (
        block.page.startswith("docs/")
        and (block.tag == "python" or (block.tag == "text" and block.follows == "python"))
    ),
    "tests/test_docs.py, programs in which something is wrong": lambda block: (
        block.tag in ("py", "none") and is_of_a_saved_program(block)
    ),
    "tests/testing/test_testing_page.py": lambda block: (
        block.page in TESTING
        and (block.tag in ("py", "none", "ini", "toml") or (block.tag, block.follows) == ("text", "py"))
    ),
    "tests/test_start_page.py": lambda block: block.page in TO_WATCH and block.tag in ("py", "none"),
    "tests/differential/test_differential.py": lambda block: block.start.startswith("trioreg and Elixir differ."),
    "tests/examples/test_accounts.py": lambda block: block.start.startswith("20 accounts are open"),
    "tests/examples/test_chat_server.py": lambda block: block.start == "Who are you?",
    "tests/examples/test_connection_pool.py": lambda block: block.start.startswith("1000 of 10000 accounts"),
    "tests/examples/test_go_lines.py": lambda block: (
        block.page == "docs/applications/go.md" and block.start.startswith(("for players", "$ nc"))
    ),
    "tests/examples/test_pages.py": lambda block: (
        block.page.startswith("docs/applications/")
        and (block.tag == "py" or is_drawing(block))
        and not block.start.endswith("# in the payer's actor")
    ),
    "tests/test_doc_commands.py": lambda block: block.tag in ("sh", "console"),
    "tests/test_foreign_programs.py": lambda block: (
        block.tag in ("elixir", "scala")
        or (block.page.startswith("docs/coming-from/") and block.tag == "py")
        or (block.page == "docs/how-to/web-frameworks.md" and block.tag == "py")
    ),
}
"""Who runs which blocks. The blocks that are not here are the fragments of `tests/test_fragments.py`."""


def ran_by(runner: str) -> list[Block]:
    return [block for block in BLOCKS if RUNNERS[runner](block)]
