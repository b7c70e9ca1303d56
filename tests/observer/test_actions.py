"""What can be done to an actor with the observer, and what it says of it."""

from __future__ import annotations

import pytest
import trio
from support.children import ref_of
from support.log_events import fields_of, recorded
from support.observed import Plain, Stuck
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    Backoff,
    ChildSpec,
    Exit,
    OnDemand,
    Pool,
    Registry,
    Supervisor,
    open_dynamic_supervisor,
    open_on_demand,
    open_pool,
    open_supervisor,
)
from trioreg._observer import BadParam, NotThere, Observation
from trioreg._observer.actions import NAMES, act, actions_of
from trioreg._observer.find import find
from trioreg._observer.pace import Pace
from trioreg._observer.survey import walk
from trioreg._runtime import current_run


class Shielded(Actor):
    async def hang(self) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(20)


class Cart(Stuck):
    def __init__(self, key: str) -> None: ...


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class Failing(Actor):
    starts = 0
    error: Exception = ValueError("no second life")

    async def on_start(self) -> None:
        type(self).starts += 1
        if type(self).starts > 1:
            raise self.error


async def offered(ref: ActorRef[object]) -> list[str]:
    seen = await find(Observation(current_run()), ref._number, Pace())
    return [action["name"] for action in actions_of(seen)]


async def do(action: str, ref: ActorRef[object]) -> str:
    return await act(Observation(current_run()), action, ref._number)


async def test_a_killed_actor_comes_back_under_a_new_number_with_its_name(autojump_clock: MockClock) -> None:
    names: Registry[str, object] = Registry("names")
    async with open_supervisor([ChildSpec(Plain, name=names.via("James Bond"))], at_end="stop"):
        ref = names.via("James Bond", Plain)._resolve()
        text = await do("kill", ref)
        after = names.via("James Bond", Plain)._resolve()
        assert text == f"{repr(ref)[1:-1]} was killed. Its next life is {repr(after)[1:-1]}."
        assert ref.exit == Exit("killed")


async def test_an_actor_that_shields_itself_is_said_to_be_busy(autojump_clock: MockClock) -> None:
    async with open_supervisor([ChildSpec(Shielded, id="one")], at_end="stop") as supervisor:
        ref = ref_of(supervisor, "one")
        ref.cast_nowait(Shielded.hang)
        await wait_all_tasks_blocked()
        began = trio.current_time()
        text = await do("kill", ref)
        assert text.endswith("It is in a block that shields it from cancellation, and has not ended after 5 seconds.")
        assert trio.current_time() - began == 5


async def test_a_stopped_actor_handles_what_it_has_first(autojump_clock: MockClock) -> None:
    async with open_supervisor([ChildSpec(Stuck, restart="temporary")], at_end="stop") as supervisor:
        ref = ref_of(supervisor, "Stuck")
        assert (await do("stop", ref)).endswith("was stopped. It is not started again.")
        assert ref.exit == Exit("normal")


async def test_a_stop_does_not_wait_for_longer_than_five_seconds(autojump_clock: MockClock) -> None:
    async with open_supervisor([ChildSpec(Stuck, id="one")], at_end="stop") as supervisor:
        ref = ref_of(supervisor, "one")
        ref.cast_nowait(Stuck.hang)
        await wait_all_tasks_blocked()
        text = await do("stop", ref)
        assert text.endswith("It still handles the messages that it has, and has not ended after 5 seconds.")
        assert ref.state == "stopping"
        assert await offered(ref) == ["kill", "restart", "terminate"]


@pytest.mark.parametrize("restart", ["permanent", "transient"])
async def test_a_restart_under_a_supervisor_is_in_order_and_counts_for_nothing(
    restart: str, autojump_clock: MockClock
) -> None:
    specs = [ChildSpec(Plain, id="one", restart=restart)]  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with open_supervisor(specs, max_restarts=0, at_end="stop") as supervisor:
        ref = ref_of(supervisor, "one")
        text = await do("restart", ref)
        after = ref_of(supervisor, "one")
        assert text == f"{repr(ref)[1:-1]} was restarted. Its next life is {repr(after)[1:-1]}."
        assert ref.exit == Exit("shutdown")
        assert supervisor.which_child("one").restarts == 0


async def test_a_restart_under_a_dynamic_supervisor_is_a_kill(autojump_clock: MockClock) -> None:
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        ref = await supervisor.start_child(Plain)
        text = await do("restart", ref)
        assert ref.exit == Exit("killed")
        (info,) = supervisor.which_children()
        assert info.ref is not None
        assert text.endswith(f"Its next life is {repr(info.ref)[1:-1]}.")


async def test_an_actor_in_its_first_start_is_not_said_to_be_started_again(autojump_clock: MockClock) -> None:
    class Slow(Actor):
        async def on_start(self) -> None:
            await trio.sleep(60)

    async with trio.open_nursery() as nursery, open_supervisor(at_end="stop") as supervisor:

        async def start() -> None:
            with pytest.raises(ActorExited):
                await supervisor.start_child(Slow, id="one")

        nursery.start_soon(start)
        await wait_all_tasks_blocked()
        ref = ref_of(supervisor, "one")
        assert await offered(ref) == ["kill", "stop", "terminate"]
        seen = await find(Observation(current_run()), ref._number, Pace())
        assert actions_of(seen)[0]["sentence"] == "It ends at once, without its on_stop."
        assert (await do("kill", ref)).endswith("was killed. It is not started again.")
        assert supervisor.which_children() == []


async def test_a_restart_after_a_wait_is_said(autojump_clock: MockClock) -> None:
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        ref = await supervisor.start_child(Plain, backoff=Backoff(initial=60))
        assert (await do("restart", ref)).endswith("It waits for its restart.")


async def test_a_next_life_that_does_not_start_is_said_and_harms_nobody(autojump_clock: MockClock) -> None:
    Failing.starts = 0
    async with open_supervisor([ChildSpec(Failing, id="one"), ChildSpec(Plain, id="two")], at_end="stop") as supervisor:
        text = await do("restart", ref_of(supervisor, "one"))
        assert text.endswith("could not be handled as you asked: ValueError: no second life")
        assert supervisor.which_child("one").state == "ended"
        assert ref_of(supervisor, "two").is_alive


async def test_an_error_whose_str_raises_does_not_end_the_supervisor(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    Failing.starts = 0
    monkeypatch.setattr(Failing, "error", Mute())
    async with open_supervisor([ChildSpec(Failing, id="one"), ChildSpec(Plain, id="two")], at_end="stop") as supervisor:
        text = await do("restart", ref_of(supervisor, "one"))
        assert text.endswith("could not be handled as you asked: Mute")
        assert ref_of(supervisor, "two").is_alive


async def test_a_restart_goes_on_if_the_one_who_asked_goes_away(autojump_clock: MockClock) -> None:
    class Slow(Actor):
        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(2)

    async with open_supervisor([ChildSpec(Slow, id="one")], at_end="stop") as supervisor:
        ref = ref_of(supervisor, "one")
        with trio.move_on_after(1) as scope:
            await do("restart", ref)
        assert scope.cancelled_caught
        assert ref.state == "ending"
        await trio.sleep(2)
        assert ref_of(supervisor, "one") is not ref


async def test_a_restart_that_takes_long_is_said_to_go_on(autojump_clock: MockClock) -> None:
    class Slow(Actor):
        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(20)

    async with open_supervisor([ChildSpec(Slow, id="one", shutdown=60)], at_end="stop") as supervisor:
        ref = ref_of(supervisor, "one")
        text = await do("restart", ref)
        assert text.endswith("is still ending or starting after 5 seconds. That goes on.")
        await trio.sleep(20)
        assert ref_of(supervisor, "one") is not ref


async def test_an_action_that_a_supervisor_can_not_take_any_more_changes_nothing(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object) -> None:
        raise RuntimeError("Nursery is closed to new arrivals")

    async with open_supervisor([ChildSpec(Plain, id="one")], at_end="stop") as supervisor:
        ref = ref_of(supervisor, "one")
        monkeypatch.setattr(supervisor._engine, "start_task", closed)
        assert (await do("terminate", ref)).endswith("is as before: its supervisor is ending.")
        assert ref.is_alive


async def test_nothing_can_be_done_to_an_actor_that_waits_for_its_restart(autojump_clock: MockClock) -> None:
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        ref = await supervisor.start_child(Plain, backoff=Backoff(initial=60))
        ref.kill()
        await wait_all_tasks_blocked()
        (seen,) = [seen async for seen in walk(current_run(), Pace())]
        assert seen.child.state == "restarting"
        assert actions_of(seen) == []


async def test_a_life_that_waits_for_room_can_be_killed(autojump_clock: MockClock) -> None:
    carts: OnDemand[str, Cart] = OnDemand("carts", Cart, max_running=1)
    async with open_on_demand(carts) as supervisor:
        carts.via("busy").cast_nowait(Cart.hang)
        await wait_all_tasks_blocked()
        carts.via("waits").cast_nowait(Cart.hang)
        await wait_all_tasks_blocked()
        waiting = carts.whereis("waits")
        assert isinstance(waiting, ActorRef)
        assert "was killed" in await do("kill", waiting)
        assert not waiting.is_alive
        supervisor.stop()


async def test_a_terminated_actor_is_not_started_again(autojump_clock: MockClock) -> None:
    async with open_supervisor([ChildSpec(Plain, id="one")], at_end="stop") as supervisor:
        ref = ref_of(supervisor, "one")
        assert (await do("terminate", ref)).endswith("was terminated. It is not started again.")
        assert supervisor.which_child("one").state == "ended"
        assert ref.exit == Exit("shutdown")


async def test_a_whole_branch_can_be_restarted(autojump_clock: MockClock) -> None:
    names: Registry[str, object] = Registry("names")
    branch = ChildSpec(Supervisor, ([ChildSpec(Plain, name=names.via("leaf"))],), id="branch")
    async with open_supervisor([branch], at_end="stop") as supervisor:
        ref, leaf = ref_of(supervisor, "branch"), names.via("leaf")._resolve()
        seen = await find(Observation(current_run()), ref._number, Pace())
        assert all("It has children" in action["sentence"] for action in actions_of(seen))
        await do("restart", ref)
        assert names.via("leaf")._resolve() is not leaf


async def test_what_is_offered_is_what_the_supervisor_can_do() -> None:
    async with open_supervisor(
        [ChildSpec(Plain, id=restart, restart=restart) for restart in ("permanent", "transient", "temporary")],
        at_end="stop",
    ) as supervisor:
        assert await offered(ref_of(supervisor, "permanent")) == ["kill", "stop", "restart", "terminate"]
        assert await offered(ref_of(supervisor, "transient")) == ["kill", "stop", "restart", "terminate"]
        assert await offered(ref_of(supervisor, "temporary")) == ["kill", "stop", "terminate"]


async def test_workers_of_a_pool_are_not_terminated_and_actors_on_demand_not_restarted() -> None:
    class Keyed(Actor):
        def __init__(self, key: str) -> None:
            pass

        def note(self) -> None:
            pass

    pool: Pool[Plain]
    carts: OnDemand[str, Keyed] = OnDemand("carts", Keyed)
    async with open_pool(Plain, size=1) as pool, open_on_demand(carts):
        await carts.via("a").call(Keyed.note)
        assert await offered(pool.workers()[0]) == ["kill", "stop", "restart"]
        assert await offered(carts.via("a")._resolve()) == ["kill", "stop", "terminate"]


async def test_the_number_of_an_earlier_life_leads_nowhere(autojump_clock: MockClock) -> None:
    async with open_supervisor([ChildSpec(Plain, id="one")], at_end="stop") as supervisor:
        ref = ref_of(supervisor, "one")
        observation = Observation(current_run())
        await act(observation, "kill", ref._number)
        for known in (observation, Observation(current_run())):
            with pytest.raises(NotThere, match=r"has ended\. If it was restarted, its next life has a new number"):
                await act(known, "kill", ref._number)
        assert ref_of(supervisor, "one").is_alive


async def test_an_action_that_does_not_exist_or_is_not_possible_is_refused() -> None:
    async with open_supervisor([ChildSpec(Plain, restart="temporary")], at_end="stop", name="shop") as supervisor:
        ref = ref_of(supervisor, "Plain")
        with pytest.raises(BadParam, match="action must be one of kill, stop, restart, terminate, not 'explode'"):
            await do("explode", ref)
        with pytest.raises(BadParam, match=r"restart is not possible for actor #.* now: it is running, under shop"):
            await do("restart", ref)
        assert ref.is_alive


async def test_each_action_is_a_line_in_the_log(autojump_clock: MockClock) -> None:
    async with open_supervisor([ChildSpec(Plain, id="till")], at_end="stop", name="shop") as supervisor:
        ref = ref_of(supervisor, "till")
        with recorded() as log:
            await do("stop", ref)
        (record,) = log.of("observer_acted")
        assert record.getMessage() == f"an observer asks to stop child 'till', {ref!r}"
        assert fields_of(record)["actor"] == repr(ref)


async def test_an_action_is_refused_in_another_run() -> None:
    async with open_supervisor([ChildSpec(Plain, id="one")], at_end="stop") as supervisor:
        observation, ref = Observation(current_run()), ref_of(supervisor, "one")
        for action in NAMES:
            with pytest.raises(RuntimeError, match="in the Trio run that is observed"):
                await trio.to_thread.run_sync(trio.run, act, observation, action, ref._number)
        assert ref.state == "running"


async def test_an_action_is_a_checkpoint_before_anything_happens() -> None:
    async with open_supervisor([ChildSpec(Plain, id="one")], at_end="stop") as supervisor:
        ref = ref_of(supervisor, "one")
        with trio.CancelScope() as scope:
            scope.cancel()
            await do("kill", ref)
        assert scope.cancelled_caught
        assert (ref.state, ref.exit) == ("running", None)
