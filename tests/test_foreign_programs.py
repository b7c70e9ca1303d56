"""Programs of other libraries and languages on the pages print what the pages say.

`nox -s foreign` installs the libraries. In the plain tests, what is not installed is skipped. Of tractor, only the
repository has the version that the page is about: give a Python that has it, `TRIOREG_TRACTOR=PATH nox -s foreign`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from support.doc_blocks import IS_SAVED, ROOT, Block, block, ran_by
from support.processes import SECONDS, running

BLOCKS = ran_by("tests/test_foreign_programs.py")
PROGRAMS = {
    Path(page).stem: [block for block in BLOCKS if (block.page, block.tag) == (page, "py")]
    for page in {block.page: None for block in BLOCKS if block.tag == "py" and "coming-from" in block.page}
}
"""The programs of a page. The last one is run, and it imports the others."""


WHERE = {
    "pykka": "`nox -s foreign` does it",
    "quart_trio": "`nox -s foreign` does it",
    "triotp": "`nox -s foreign` does it, if there is a Python 3.13",
    "tractor": "the page's version is in its repository only. Set TRIOREG_TRACTOR to a Python that has it",
}


def python_with(library: str) -> str:
    """A Python that has it. `nox -s foreign` says in `TRIOREG_FOREIGN` which libraries it has installed."""
    if python := os.environ.get(f"TRIOREG_{library.upper()}"):
        return python
    if library in sys.stdlib_module_names or find_spec(library) is not None:
        return sys.executable
    assert library not in os.environ.get("TRIOREG_FOREIGN", "").split()
    pytest.skip(f"{library} is not installed: {WHERE[library]}")


def run(command: list[str], folder: Path) -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=4 * SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def file_of(program: Block) -> str:
    return program.start.removeprefix("# ") if IS_SAVED.fullmatch(program.start) else "program.py"


@pytest.mark.parametrize("library", PROGRAMS)
def test_the_program_of_another_library_prints_what_the_page_says(library: str, tmp_path: Path) -> None:
    python = python_with(library)
    for program in PROGRAMS[library]:
        (tmp_path / file_of(program)).write_text(program.code, encoding="utf-8")
    last = PROGRAMS[library][-1]
    assert run([python, file_of(last)], tmp_path) == last.printed


# Web frameworks

WITH_STARLETTE = block("docs/how-to/web-frameworks.md", "import httpx").code
HYPERCORN = block("docs/how-to/web-frameworks.md", "hypercorn --worker-class trio --bind 127.0.0.1:8000 shop:site").code
[QUART, LIFESPAN] = [block.code for block in BLOCKS if "web-frameworks" in block.page]


def with_site(site: str) -> str:
    """The program with Starlette, with that site in the place of its own."""
    before, after = re.split(r"^async def add.*?^site = .*?\n", WITH_STARLETTE, flags=re.MULTILINE | re.DOTALL)
    return before + site + after


def test_the_site_with_quart_answers_as_the_one_with_starlette(tmp_path: Path) -> None:
    python = python_with("quart_trio")
    (tmp_path / "shop.py").write_text(with_site(QUART), encoding="utf-8")
    answers = run([python, "shop.py"], tmp_path).split()  # Quart puts an empty line below each
    assert answers == ["200", '["tea"]', "200", '["tea","milk"]']


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a single process")
@pytest.mark.parametrize("framework", ["starlette", "quart_trio"])
def test_hypercorn_starts_the_program_with_its_tree(tmp_path: Path, framework: str) -> None:
    code = WITH_STARLETTE + LIFESPAN if framework == "starlette" else with_site(QUART) + WHILE_SERVING
    (tmp_path / "shop.py").write_text(code, encoding="utf-8")
    command = [python_with(framework), "-m", *HYPERCORN.replace(":8000", ":0").split()]
    with running(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}) as process:
        assert process.stderr is not None
        said = next(line for line in process.stderr if "Running on" in line)
        [url] = re.findall(r"http://\S+", said)
        with urlopen(Request(f"{url}/ann/tea", method="POST"), timeout=SECONDS) as answer:
            assert json.load(answer) == ["tea"]
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 0


WHILE_SERVING = """
@site.while_serving
async def with_the_tree():
    async with trioreg.open_on_demand(carts):
        yield
"""
"""What the page says of Quart: the same two lines, under this decorator."""


# Elixir

ELIXIR = shutil.which("elixir")
NEEDS_ELIXIR = pytest.mark.skipif(ELIXIR is None, reason="there is no `elixir` on PATH")
WHOLE, *PARTS = [block for block in BLOCKS if block.tag == "elixir"]

AROUND = {
    "docs/explanation/structured-concurrency.md": """
        defmodule Clerk do
          use GenServer
          def start_link(n), do: GenServer.start_link(__MODULE__, n, name: {:via, Registry, {Names, n}})
          def init(n), do: {:ok, n}
          def handle_call(:hello, _from, n), do: {:reply, :hello, n}
        end
        {:ok, _} = Registry.start_link(keys: :unique, name: Names)
        {:ok, sup} = DynamicSupervisor.start_link(strategy: :one_for_one, max_restarts: 1000)
        answers = for n <- 1..100 do
          try do
            BLOCK
          catch
            :exit, {:noproc, _} -> :noproc
          end
        end
        IO.inspect(Enum.all?(answers, &(&1 in [:hello, :noproc])))
    """,
    "docs/parity-actors.md": """
        BLOCK
        {:ok, stack} = Stack.start_link(["world"])
        :ok = Stack.push(stack, "hello")
        IO.inspect(for _ <- 1..3, do: Stack.pop(stack))
    """,
    "docs/parity-registry.md": """
        {:ok, _} = Registry.start_link(keys: :unique, name: Agents)
        {:ok, _} = Registry.register(Agents, "James Bond", {:agent, 7})
        {:ok, _} = Registry.register(Agents, "Mr. White", {:agent, 3})
        IO.inspect(
        BLOCK
        )
    """,
}
"""What a part of a program needs around it."""

PRINTED = {
    "docs/explanation/structured-concurrency.md": "true\n",
    "docs/parity-actors.md": '[ok: "hello", ok: "world", error: :empty]\n',
    "docs/parity-registry.md": '[{"James Bond", 7}]\n',
}


def run_elixir(code: str, folder: Path) -> str:
    assert ELIXIR is not None
    (folder / "program.exs").write_text(code, encoding="utf-8")
    return run([ELIXIR, "--erl", "-kernel logger_level none", "program.exs"], folder)


@NEEDS_ELIXIR
def test_the_program_in_elixir_prints_what_the_page_says(tmp_path: Path) -> None:
    assert run_elixir(WHOLE.code, tmp_path) == WHOLE.printed


@NEEDS_ELIXIR
def test_the_parts_of_programs_in_elixir_do_what_the_pages_say(tmp_path: Path) -> None:
    code = "".join(AROUND[part.page].replace("BLOCK", part.code) for part in PARTS)
    assert run_elixir(code, tmp_path) == "".join(PRINTED[part.page] for part in PARTS)


@pytest.mark.parametrize("program", [block for block in BLOCKS if block.tag == "scala"], ids=lambda block: block.place)
def test_the_program_with_akka_prints_what_its_twin_prints(program: Block) -> None:
    pytest.skip("Akka and a Scala compiler for it come from Maven's registry only, which these tests do not use")
