"""The long runs in short, so that the parts stay whole. ``nox -s soak`` runs them at length."""

from __future__ import annotations

import sys
from collections.abc import Callable
from random import Random

import pytest
import trio

from soak import __main__ as command
from soak import fuzzing, storms
from soak.exploring import SCENARIOS, Scenario, explore_program
from soak.faulty import fail_at_each_call
from soak.machines import MACHINES
from soak.modules import run_module
from soak.parts import Bound, Figures, Part, RoundFailed, RoundInterrupted, run_part
from soak.readers import read_beside_writes
from trioreg.testing import explore

posix = pytest.mark.skipif(sys.platform == "win32", reason="on Windows, one process can't send another a signal")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.__name__ for scenario in SCENARIOS])
def test_a_scenario_holds_under_a_few_schedules(scenario: Scenario) -> None:
    assert explore_program(scenario, 1, schedules=4)["runs"] == 4


@posix
def test_runs_that_are_interrupted_at_any_moment_leave_nothing() -> None:
    assert run_module("ctrl_c", 1, 10)["runs"] == 10


def test_queries_patterns_and_wildcards_are_fuzzed() -> None:
    assert fuzzing.fuzz_all(1, examples=3) == {
        "examples of patterns": 3,
        "examples of queries": 3,
        "examples of wildcards": 3,
    }


@posix
def test_a_program_ends_by_its_signals() -> None:
    assert storms.one_program(Random(1))["programs"] == 1


def test_many_lives_leave_nothing_for_the_garbage_collector() -> None:
    assert run_module("living", 1_000, "off")["lives"] >= 1_000


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("which", [0, 1])
def test_a_change_that_fails_at_any_call_leaves_a_whole_state(which: int, seed: int) -> None:
    assert fail_at_each_call(seed, which)["faults"] > 5


def test_threads_that_read_see_what_is_there() -> None:
    assert read_beside_writes(1)["looks"] >= 5


def test_the_state_machines_are_found() -> None:
    assert len(MACHINES) >= 8


def test_each_kind_has_its_round_however_short_the_time_is() -> None:
    least = {part.name: part.least for part in command.PARTS}
    assert (least["machines"], least["explore"], least["lives"], least["faults"]) == (
        len(MACHINES),
        len(SCENARIOS),
        2,
        2,
    )
    part = Part("part", "does nothing", lambda _: Figures(), least=3)
    assert run_part(part, Bound(seconds=0), 0) == {"rounds": 3}
    assert run_part(part, Bound(rounds=1), 0) == {"rounds": 1}


def test_a_part_does_rounds_up_to_its_bound_and_names_the_seed_that_fails() -> None:
    seeds: list[int] = []

    def fail_at_7(seed: int) -> Figures:
        seeds.append(seed)
        assert seed != 7
        return Figures({"things": 2})

    part = Part("part", "fails at 7", fail_at_7)
    assert run_part(part, Bound(rounds=3), 1) == {"rounds": 3, "things": 6}
    assert run_part(part, Bound(seconds=0), 1) == {"rounds": 1, "things": 2}
    with pytest.raises(RoundFailed, match="nox -s soak -- part --seed 7 --rounds 1") as caught:
        run_part(part, Bound(rounds=9), 5)
    assert (caught.value.seed, caught.value.figures) == (7, {"rounds": 2, "things": 4})
    assert seeds == [1, 2, 3, 1, 5, 6, 7]


async def end_by_ctrl_c() -> None:
    async with trio.open_nursery():
        raise KeyboardInterrupt


@pytest.mark.parametrize("program", [trio.run, explore])
def test_a_round_that_ctrl_c_ends_has_not_failed(program: Callable[..., object]) -> None:
    part = Part("part", "is interrupted", lambda _: Figures(once=bool(program(end_by_ctrl_c))))
    with pytest.raises(RoundInterrupted, match="To go on: nox -s soak -- part --seed 5"):
        run_part(part, Bound(rounds=9), 5)


def test_ctrl_c_ends_the_command_and_not_only_its_part(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted = Part("first", "is interrupted", lambda _: Figures(once=bool(trio.run(end_by_ctrl_c))))
    monkeypatch.setattr(command, "PARTS", [interrupted, Part("second", "is not done", lambda _: Figures())])
    assert command.main(["--rounds", "1"]) == 130
    out = capsys.readouterr().out
    assert "no round is done" in out
    assert "second" not in out


@pytest.mark.parametrize(
    ("option", "value", "what"),
    [
        ("--rounds", "0", "must be a whole number of at least 1, not '0'"),
        ("--rounds", "-1", "must be a whole number of at least 1, not '-1'"),
        ("--rounds", "1.5", "must be a whole number of at least 1, not '1.5'"),
        ("--seconds", "0", "must be a number of more than 0, not '0'"),
        ("--seconds", "nan", "must be a number of more than 0, not 'nan'"),
        ("--seconds", "ten", "must be a number of more than 0, not 'ten'"),
    ],
)
def test_a_bound_in_which_nothing_would_be_done_is_refused(
    option: str, value: str, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command.main(["readers", f"{option}={value}"])
    assert f"argument {option}: {what}" in capsys.readouterr().err


def test_the_command_says_which_parts_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["nothing"])
    assert "there is no part 'nothing': the parts are explore" in capsys.readouterr().err
