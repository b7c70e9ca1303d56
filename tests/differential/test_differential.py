"""trioreg and a live Elixir give the same answers; a fault is found, and made short. A short form of the session."""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from support.doc_blocks import Block, ran_by

from trioreg import Owner, Registry

from . import __main__ as session
from .comparing import Mismatch, compare
from .differences import DIFFERENCES, Difference
from .program import STEP, Program
from .report import report
from .shrink import shrink
from .terms import LEAVES, random_key, random_value
from .there import Elixir
from .wire import decode, encode

PARITY = Path(__file__).parents[2] / "docs" / "parity-registry.md"


@pytest.mark.parametrize("seed", range(12))
def test_random_operations_have_the_same_answers_in_elixir(elixir: Elixir, seed: int) -> None:
    program = Program.random(seed, 300)
    found = compare(program, elixir)
    assert found is None, report(*shrink(program, lambda program: compare(program, elixir)), each=300)


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.page.strip("| "))
async def test_each_difference_of_the_list_is_one(elixir: Elixir, difference: Difference) -> None:
    registry: Registry[Any, Any] = Registry("R", keys="unique" if difference.unique else "duplicate")
    assert elixir.tried(difference.elixir, unique=difference.unique) == difference.there
    assert difference.python(registry) == difference.here != difference.there


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.page.strip("| "))
def test_each_difference_of_the_list_is_on_the_parity_page(difference: Difference) -> None:
    rows = [line for line in PARITY.read_text().splitlines() if line.startswith(difference.page)]
    assert len(rows) == 1
    assert not rows[0].endswith("| same |")


VALUES = Registry[Any, Any].values


def faulty_values(self: Registry[Any, Any], key: object, owner: Owner) -> list[Any]:
    """It gives two values at most."""
    return VALUES(self, key, owner)[:2]


@pytest.mark.parametrize("shown", ran_by("tests/differential/test_differential.py"))
def test_the_docs_show_how_the_session_reports_a_fault(
    elixir: Elixir, monkeypatch: pytest.MonkeyPatch, shown: Block
) -> None:
    monkeypatch.setattr(Registry, "values", faulty_values)
    program = Program.random(13, 2000)
    short, found = shrink(program, lambda program: compare(program, elixir))
    assert f"{report(short, found, each=2000)}\n" == shown.code


def test_a_fault_is_found_and_made_short(elixir: Elixir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "values", faulty_values)
    seed = next(seed for seed in range(100) if compare(Program.random(seed, 100), elixir))
    short, found = shrink(Program.random(seed, 100), lambda program: compare(program, elixir))
    assert [operation.name for operation in short.steps()] == ["register", "register", "register", "values"]
    text = report(short, found, each=100)
    assert "1. register: owner 0, 'key 0', 'value 0'\n" in text
    assert "4. values: the owner 0, 'key 0'\n" in text
    assert "trioreg answers ['value 0', 'value 0']\n" in text
    assert "Elixir answers  ['value 0', 'value 0', 'value 0']\n" in text
    assert f"nox -s differential -- --seed {seed} --operations 100 --each 100" in text


def test_a_program_is_cut_down_to_the_operations_that_it_takes() -> None:
    program = attrs.evolve(Program.random(1, 400), kind="unique")

    def differs(program: Program) -> Mismatch | None:
        names = [operation.name for operation in program.steps()]
        if "put_meta" in names and "meta" in names[names.index("put_meta") :]:
            return Mismatch(names.index("meta", names.index("put_meta")), 1, 2)
        return None

    short, found = shrink(program, differs)
    assert [operation.name for operation in short.steps()] == ["put_meta", "meta"]
    assert found.number == 1
    assert all(not any(short.code[at + 1 : at + STEP]) for at in (0, STEP))


def test_an_error_that_should_not_be_is_an_answer(elixir: Elixir, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: object, key: object) -> object:
        raise ZeroDivisionError("oh no")

    monkeypatch.setattr(Registry, "lookup", fails)
    program = attrs.evolve(Program.random(2, 300), kind="duplicate")
    found = compare(program, elixir)
    assert found is not None
    assert found.here == (b"raised", "ZeroDivisionError: oh no")


@pytest.mark.parametrize("seed", range(20))
def test_what_is_written_can_be_read(seed: int) -> None:
    rng = random.Random(seed)
    for term in [*LEAVES, random_key(rng), random_value(rng)]:
        assert decode(encode(term)) == term


def test_the_session_says_how_many_operations_it_did(elixir: Elixir, capsys: pytest.CaptureFixture[str]) -> None:
    assert session.run(elixir, seed=3, each=50, operations=100, seconds=math.inf) == 0
    assert capsys.readouterr().out.startswith("100 operations in")


def test_ctrl_c_shows_what_was_compared_so_far(
    elixir: Elixir, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = iter([Program.random(1, 20), Program.random(2, 20)])

    def random_program(seed: int, each: int) -> Program:
        try:
            return next(programs)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(Program, "random", random_program)
    with Elixir(elixir.command) as other:  # the block is left before the answers are read
        assert session.run(other, seed=1, each=20, operations=math.inf, seconds=math.inf) == 130
    assert "20 operations in" in (out := capsys.readouterr().out)
    assert "no difference so far" in out


@pytest.mark.parametrize("bound", ["--operations=0", "--operations=-3", "--seconds=0", "--seconds=nan", "--each=0"])
def test_a_bound_in_which_nothing_would_be_compared_is_refused(bound: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        session.main([bound])
    assert f"argument {bound.partition('=')[0]}: must be a " in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="the program that ends is a shell script")
def test_an_elixir_that_does_not_start_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = tmp_path / "elixir"
    ends.write_text("#!/bin/sh\nexit 1\n")
    ends.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert session.main([]) == 1
    assert capsys.readouterr().out == "Elixir has ended: what it wrote to stderr says why\n"


@pytest.mark.skipif(sys.platform == "win32", reason="the program that ends is a shell script")
def test_an_elixir_that_ends_is_an_error_that_has_the_seed(tmp_path: Path) -> None:
    ends = tmp_path / "ends"
    ends.write_text("#!/bin/sh\nprintf '\\0\\0\\0\\2v1'\n")
    ends.chmod(0o700)
    with Elixir(str(ends)) as elixir:
        assert elixir.version == "v1"
        with pytest.raises(EOFError, match="Elixir has ended in the program of seed 7"):
            compare(Program.random(7, 10), elixir)


def test_without_elixir_the_session_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert session.main([]) == 0
    assert capsys.readouterr().out == "There is no `elixir` on PATH: nothing is compared.\n"
