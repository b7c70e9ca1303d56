"""chaos(): faults at random below a supervisor, which never gives up because of them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import pytest
import trio
from trio.testing import MockClock, assert_checkpoints

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    ChildSpec,
    DynamicSupervisor,
    NotRegistered,
    Registry,
    RestartLimit,
    Supervisor,
    current,
    open_dynamic_supervisor,
    open_supervisor,
)
from trioreg.testing import ChaosFault, chaos, explore

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]


@pytest.fixture(autouse=True)
def _no_log() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


class Cart(Actor):
    def add(self) -> int:
        return 1


CART = ChildSpec(Cart)


async def function() -> None:
    await trio.sleep_forever()


def ref_of(supervisor: Supervisor) -> ActorRef[Any]:
    """The first child's reference."""
    ref = supervisor.which_children()[0].ref
    assert ref is not None
    return ref


async def kinds_done(spec: ChildSpec[Any], seconds: float = 400) -> set[str]:
    """What chaos does to one child, in that time."""
    async with open_supervisor([spec], at_end="stop") as supervisor, chaos(supervisor) as faults:
        await trio.sleep(seconds)
    return {fault.kind for fault in faults}


async def test_all_kinds_of_faults_come_up_and_the_actors_come_back(autojump_clock: MockClock) -> None:
    async with open_supervisor([CART, CART, CART], at_end="stop") as supervisor:
        with assert_checkpoints():
            block = chaos(supervisor, every=3)
            faults = await block.__aenter__()
        await trio.sleep(300)
        with assert_checkpoints():
            await block.__aexit__(None, None, None)
        assert Counter(fault.kind for fault in faults).keys() == {"crash", "kill", "cancel", "delay"}
        assert 60 < len(faults) < 140
        assert {child.state for child in supervisor.which_children()} == {"running"}
        assert sum(child.restarts for child in supervisor.which_children()) == sum(
            fault.kind != "delay" for fault in faults
        )


async def test_at_the_end_of_the_block_nothing_is_held_up_any_more(autojump_clock: MockClock) -> None:
    async with open_supervisor([CART], at_end="stop") as supervisor:
        async with chaos(supervisor, kinds=["delay"], delay=1000) as faults:
            await trio.sleep(20)
            assert faults
        with trio.fail_after(0.1):
            assert await ref_of(supervisor).call(Cart.add) == 1


async def test_a_delay_holds_messages_up(autojump_clock: MockClock) -> None:
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        ref = await supervisor.start_child(Cart)
        async with chaos(supervisor, kinds=["delay"], delay=100, every=1):
            await trio.sleep(20)
            before = trio.current_time()
            await ref.call(Cart.add)
            assert trio.current_time() > before


async def test_the_same_seed_makes_the_same_choices(autojump_clock: MockClock) -> None:
    async def choices(seed: int) -> list[tuple[float, str, float]]:
        async with open_supervisor([CART, CART, CART], at_end="stop") as supervisor:
            begun = trio.current_time()
            async with chaos(supervisor, seed=seed) as faults:
                await trio.sleep(50)
        return [(round(fault.at - begun, 6), fault.kind, fault.seconds) for fault in faults]

    assert await choices(1) == await choices(1) != await choices(2)


# What it leaves alone


async def test_no_supervisor_gives_up_however_often_it_strikes(autojump_clock: MockClock) -> None:
    async with (
        open_supervisor([CART, CART], max_restarts=3, max_seconds=5, at_end="stop") as supervisor,
        chaos(supervisor, every=0.05, kinds=["crash", "kill", "cancel"]) as faults,
    ):
        await trio.sleep(30)
        for fault in faults:
            assert sum(fault.at - 5 < other.at <= fault.at for other in faults) <= 2


async def test_one_restart_is_left_for_the_program_itself(autojump_clock: MockClock) -> None:
    async with (
        open_supervisor([CART, CART], max_restarts=2, max_seconds=50, at_end="stop") as supervisor,
        chaos(supervisor, every=1, kinds=["crash"]),
    ):
        await trio.sleep(40)
        ref_of(supervisor).kill()
        await trio.sleep(5)
        assert supervisor.count_children().active == 2


@pytest.mark.parametrize(("max_restarts", "most"), [(0, 0), (1, 1), (2, 1), (3, 2)])
async def test_a_limit_of_one_child_is_kept_too(max_restarts: int, most: int, autojump_clock: MockClock) -> None:
    spec = ChildSpec(Cart, limit=RestartLimit(max_restarts, 1000))
    async with open_supervisor([spec], at_end="stop") as supervisor:
        async with chaos(supervisor, every=1, kinds=["crash"]) as faults:
            await trio.sleep(100)
        assert len(faults) == most
        assert supervisor.count_children().active == 1


async def test_what_would_not_be_restarted_is_not_ended(autojump_clock: MockClock) -> None:
    assert await kinds_done(ChildSpec(Cart)) == {"crash", "kill", "cancel", "delay"}
    assert await kinds_done(ChildSpec(Cart, restart="transient")) == {"crash", "kill", "delay"}
    assert await kinds_done(ChildSpec(Cart, restart="temporary")) == {"delay"}
    assert await kinds_done(ChildSpec(function, restart="permanent")) == {"crash", "kill", "cancel"}


async def test_a_supervisor_below_is_only_killed_and_what_is_below_it_is_struck_too(autojump_clock: MockClock) -> None:
    below = ChildSpec(Supervisor, ([CART],), id="below")
    async with open_supervisor([below], name="top", at_end="stop") as supervisor, chaos(supervisor) as faults:
        await trio.sleep(1000)
        assert {fault.kind for fault in faults if fault.supervisor == "top"} == {"kill"}
        assert {fault.kind for fault in faults if fault.supervisor != "top"} == {"crash", "kill", "cancel", "delay"}


async def test_the_actor_whose_code_runs_the_block_is_left_alone(autojump_clock: MockClock) -> None:
    done: list[Sequence[ChaosFault]] = []

    async def play(supervisor: DynamicSupervisor) -> None:
        async with chaos(supervisor) as faults:
            await trio.sleep(100)
        done.append(faults)
        assert current().is_alive

    async with open_dynamic_supervisor() as supervisor:
        await supervisor.start_child(play, supervisor, restart="transient")
        await supervisor.start_child(Cart)
        await trio.sleep(200)
        supervisor.stop()
    assert done[0]
    assert {fault.actor.split(" ")[0] for fault in done[0]} == {"Cart"}


@pytest.mark.parametrize(
    ("strategy", "struck"),
    [("one_for_one", {"before", "after"}), ("rest_for_one", {"after"}), ("one_for_all", set[str]())],
)
async def test_nothing_is_ended_that_would_end_the_actor_whose_code_runs_the_block(
    strategy: Strategy, struck: set[str], autojump_clock: MockClock
) -> None:
    """It is in a supervisor of its own, below the one that is struck, and that one has children around it."""
    lives: list[Sequence[ChaosFault]] = []

    async def play() -> None:
        async with chaos(tops[0], kinds=["kill"]) as faults:
            lives.append(faults)
            await trio.sleep(200)

    names: Registry[str, None] = Registry("names")
    before, after = (ChildSpec(Cart, name=names.via(name), id=name) for name in ("before", "after"))
    tops: list[Supervisor] = []
    below = ChildSpec(Supervisor, ([ChildSpec(play, restart="transient")],))
    async with open_supervisor([before, below, after], strategy=strategy, at_end="stop") as top:
        tops.append(top)
        await trio.sleep(300)
    (faults,) = lives
    assert {fault.actor.partition("'")[2][:-1] for fault in faults} == struck


async def test_a_supervisor_that_is_an_actor_is_found_by_its_address(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    below = ChildSpec(Supervisor, ([CART],), name=names.via("below"))
    async with open_supervisor([below], at_end="stop"), chaos(names.via("below", of=Supervisor)) as faults:
        await trio.sleep(100)
    assert faults


async def test_below_a_supervisor_that_has_ended_there_is_nothing_to_do(autojump_clock: MockClock) -> None:
    async with open_supervisor([CART]) as supervisor:
        supervisor.stop()
    async with chaos(supervisor) as faults:
        await trio.sleep(100)
    assert not faults


# A block that fails


async def test_an_error_that_leaves_the_block_has_a_note_of_what_was_done(autojump_clock: MockClock) -> None:
    async with open_supervisor([CART], name="shop", at_end="stop") as supervisor:
        faults: Sequence[ChaosFault] = ()
        with pytest.raises(ValueError, match="failed") as caught:
            async with chaos(supervisor, seed=7) as faults:
                await trio.sleep(100)
                raise ValueError("failed")
        (note,) = caught.value.__notes__
        lines = note.splitlines()
        assert lines[0] == "chaos with seed 7 had done this before:"
        assert lines[1] == f"  {len(faults) - 20} earlier faults"
        assert lines[2:] == [f"  {fault}" for fault in faults[-20:]]
        assert any(" of shop" in line for line in lines)


async def test_an_error_before_anything_was_done_says_so(autojump_clock: MockClock) -> None:
    async with open_supervisor([CART], at_end="stop") as supervisor:
        with pytest.raises(ValueError, match="failed") as caught:
            async with chaos(supervisor):
                raise ValueError("failed")
    assert caught.value.__notes__ == ["chaos with seed 0 had done nothing before"]


async def test_a_block_that_is_cancelled_is_left_as_any_other(autojump_clock: MockClock) -> None:
    async with open_supervisor([CART], at_end="stop") as supervisor:
        with trio.move_on_after(50) as scope:
            async with chaos(supervisor):
                await trio.sleep_forever()
        assert scope.cancelled_caught


async def test_leaving_the_block_is_a_checkpoint(autojump_clock: MockClock) -> None:
    async with open_supervisor([CART], at_end="stop") as supervisor:
        with trio.CancelScope() as scope:
            async with chaos(supervisor):
                scope.cancel()
        assert scope.cancelled_caught


def test_a_fault_is_one_line_for_people() -> None:
    assert str(ChaosFault(2.5, "delay", "Cart #5", "shop", 0.25)) == (
        "at 2.50 s: delay of 0.25 seconds, Cart #5 of shop"
    )
    assert str(ChaosFault(2.5, "kill", "Cart #5", "shop", 0)) == "at 2.50 s: kill, Cart #5 of shop"


# With explore


def test_it_goes_together_with_explore() -> None:
    async def scenario() -> None:
        async with open_supervisor([CART, CART], at_end="stop") as supervisor:
            async with chaos(supervisor, every=0.5) as faults:
                await trio.sleep(5)
            assert faults

    assert explore(scenario, runs=5).schedules > 1


# What is refused


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"seed": "7"}, TypeError, "seed must be an int, not '7'"),
        ({"every": 0}, ValueError, "every must be more than 0 and finite, not 0"),
        ({"delay": -1}, ValueError, "delay must be more than 0 and finite, not -1"),
        ({"kinds": []}, ValueError, "kinds must be some of "),
        ({"kinds": "kill"}, ValueError, "kinds must be some of "),
        ({"kinds": ["explode"]}, ValueError, "kinds must be some of "),
        ({"kinds": 5}, ValueError, r"kinds must be some of .* not 5"),
        ({"kinds": iter(["kill"])}, ValueError, "kinds must be some of "),
    ],
)
async def test_arguments_are_checked(options: Any, error: type[Exception], message: str) -> None:
    async with open_supervisor([], at_end="stop") as supervisor:
        with pytest.raises(error, match=message):
            chaos(supervisor, **options)


async def test_what_is_no_supervisor_is_refused() -> None:
    names: Registry[str, None] = Registry("names")
    wrong: Any = "supervisor"
    with pytest.raises(TypeError, match="supervisor must be a supervisor, or the address of one, not 'supervisor'"):
        chaos(wrong)
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        cart: Any = await supervisor.start_child(Cart, name=names.via("cart"), restart="temporary")
        with pytest.raises(TypeError, match="supervisor must be the address of a supervisor, not <Cart"):
            await chaos(cart).__aenter__()
        await cart.stop()
        with pytest.raises(ActorExited):
            await chaos(cart).__aenter__()
        with pytest.raises(NotRegistered):
            await chaos(names.via("cart", of=Supervisor)).__aenter__()


async def test_a_block_is_entered_once(autojump_clock: MockClock) -> None:
    async with open_supervisor([CART], at_end="stop") as supervisor:
        block = chaos(supervisor)
        async with block:
            with pytest.raises(RuntimeError, match=r"this chaos\(...\) is already entered"):
                await block.__aenter__()
