"""The page of one actor, and the record of its last messages."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import trio
from support.children import ref_of
from support.observed import Fickle, Plain, Raising, Steps, Stuck, look
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import (
    Actor,
    ActorRef,
    Backoff,
    ChildSpec,
    Registry,
    RestartLimit,
    Supervisor,
    debug,
    open_dynamic_supervisor,
    open_pool,
    open_supervisor,
    receive,
)
from trioreg._actors import at_work
from trioreg._observer import BadParam, NotThere, Observation, pace
from trioreg._observer.actor import PAGE, SHOWN
from trioreg._observer.find import child_in_place, find
from trioreg._observer.pace import Pace
from trioreg._observer.page import PAGE_ROWS
from trioreg._observer.survey import walk
from trioreg._observer.tracing import ARGUMENTS, MESSAGES, MOST, RENEWED
from trioreg._runtime import current_run


class Open(Actor):
    """Its class allows to show its state."""

    log_state = True

    def __init__(self) -> None:
        self.items = ["tea", "<script>"]
        self.bad = Raising()

    def add(self, item: object) -> object:
        return item

    def refuse(self, item: object) -> None:
        raise ValueError(item)

    async def hang(self) -> None:
        await trio.sleep_forever()


class Closed(Open):
    log_state = False


async def page_of(ref: ActorRef[Any], observation: Observation | None = None, **params: object) -> Any:
    return await look(PAGE, observation, number=ref._number, **params)


async def test_the_page_says_what_an_actor_is_and_where_it_belongs(autojump_clock: MockClock) -> None:
    names: Registry[str, object] = Registry("agents", partitions=2)
    leaf = ChildSpec(Stuck, name=names.via("James Bond"), id="bond", shutdown=3, restart="transient")
    async with open_supervisor([ChildSpec(Supervisor, ([leaf],), id="office")], name="mi6", at_end="stop") as top:
        ref, office = names.via("James Bond", Stuck)._resolve(), ref_of(top, "office")
        ref.cast_nowait(Stuck.hang)
        await trio.sleep(2)
        page = await page_of(ref)
        assert page["row"]["label"] == "James Bond"
        assert (page["is_alive"], page["exit"], page["next_number"], page["started_seconds"]) == (True, None, None, 2)
        assert page["supervisor_number"] == office._number
        assert dict(page["facts"]) == {
            "Mailbox": "any number of messages",
            "Calls in flight": "0",
            "Id": "bond",
            "Restart": "transient",
            "Shutdown": "3 seconds",
        }
        (name,) = page["names"]
        assert (name["registry"], name["key"], name["purpose"]) == ("agents", "'James Bond'", "names")
        assert "await trio.sleep_forever()" in page["stack"]
        assert [action["name"] for action in page["actions"]] == ["kill", "stop", "restart", "terminate"]
        above = await page_of(office)
        assert [row["label"] for row in above["children"]] == ["James Bond"]
        assert (above["children_total"], above["supervisor_number"]) == (1, None)


async def test_who_waits_for_whom_is_on_the_page() -> None:
    class Asking(Actor):
        async def ask(self, ref: ActorRef[Stuck]) -> None:
            await ref.call(Stuck.hang)

    async with open_supervisor([ChildSpec(Stuck), ChildSpec(Asking)], at_end="stop") as supervisor:
        stuck, asking = ref_of(supervisor, "Stuck"), ref_of(supervisor, "Asking")
        asking.cast_nowait(Asking.ask, stuck)
        await wait_all_tasks_blocked()
        assert (await page_of(asking))["waits_for"] == [f"{stuck!r}: call Stuck.hang"]
        assert (await page_of(stuck))["waited_for_by"] == [f"{asking!r}: call Stuck.hang"]


async def test_other_tasks_of_an_actor_are_shown_with_their_stacks() -> None:
    class Busy(Actor):
        async def on_start(self) -> None:
            for _ in range(SHOWN + 10):
                self.start_soon(trio.sleep_forever)

    async with open_supervisor([ChildSpec(Busy)], at_end="stop") as supervisor:
        await wait_all_tasks_blocked()
        page = await page_of(ref_of(supervisor, "Busy"))
        assert len(page["tasks"]) == SHOWN
        assert "sleep_forever" in page["tasks"][0]["name"]


async def test_of_very_many_names_and_children_the_first_ones_are_shown() -> None:
    names: Registry[int, object] = Registry("names")
    async with open_dynamic_supervisor(name="top", at_end="stop") as top:
        from_supervisor = await top.start_child(Supervisor, [ChildSpec(Plain) for _ in range(PAGE_ROWS + 1)])
        for number in range(SHOWN + 1):
            names.register(number, owner=from_supervisor)
        page = await page_of(from_supervisor)
        assert len(page["names"]) == SHOWN
        assert dict(page["facts"])["Names"] == f"{SHOWN + 1}, of which the first {SHOWN} are shown"
        assert (len(page["children"]), page["children_total"]) == (PAGE_ROWS, PAGE_ROWS + 1)


async def test_an_actor_may_have_very_many_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    class Crowd(Actor):
        async def fill(self) -> None:
            async with trio.open_nursery() as nursery:
                for number in range(20 * SHOWN):
                    nursery.start_soon(trio.sleep_forever, name=f"task {number:04}")

    async with open_supervisor([ChildSpec(Crowd, id="one")], at_end="stop") as supervisor:
        ref = ref_of(supervisor, "one")
        ref.cast_nowait(Crowd.fill)
        await wait_all_tasks_blocked()
        tasks = (await page_of(ref))["tasks"]
        assert [task["name"] for task in tasks] == [f"task {number:04}" for number in range(SHOWN)]
        monkeypatch.setattr(at_work, "MOST_SORTED", SHOWN)
        assert len((await page_of(ref))["tasks"]) == SHOWN
        assert len(trioreg.who(ref).tasks) == 20 * SHOWN
        ref.kill()


async def test_the_claim_of_a_worker_is_a_fact() -> None:
    async with open_pool(Plain, size=1) as pool, pool.claim() as worker:
        facts = dict((await page_of(worker))["facts"])
        assert facts["Claimed by"] == f"task {trio.lowlevel.current_task().name}"


async def test_what_its_supervisor_was_told_about_an_actor_are_facts() -> None:
    limit, backoff = RestartLimit(3, 60), Backoff(1, 60)
    spec = ChildSpec(Plain, id="one", restart="transient", significant=True, limit=limit, backoff=backoff)
    async with open_supervisor([spec], auto_shutdown="any_significant", at_end="stop") as supervisor:
        facts = dict((await page_of(ref_of(supervisor, "one")))["facts"])
        assert facts["Significant"] == "yes"
        assert facts["Own limit"] == "3 restarts in 60 seconds, then drop"
        assert facts["Backoff"] == repr(backoff)


async def test_an_actor_that_is_suspended_is_said_to_be() -> None:
    async with open_supervisor([ChildSpec(Plain, id="one")], at_end="stop") as supervisor:
        ref = ref_of(supervisor, "one")
        await debug.suspend(ref)
        assert "Suspended" in dict((await page_of(ref))["facts"])
        await debug.resume(ref)
        assert "Suspended" not in dict((await page_of(ref))["facts"])


async def test_a_name_whose_hash_raises_by_now_is_shown() -> None:
    names: Registry[Fickle, object] = Registry("names", partitions=2)
    key = Fickle()
    async with open_supervisor([ChildSpec(Plain, id="one")], at_end="stop") as supervisor:
        ref = ref_of(supervisor, "one")
        names.register(key, owner=ref)
        with key.raising():
            (name,) = (await page_of(ref))["names"]
        assert name["key"] == "fickle"


async def test_an_actor_far_behind_is_looked_for_in_slices(steps: Steps) -> None:
    run = current_run()
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        *_, last = [await supervisor.start_child(Plain) for _ in range(3 * pace.STEPS)]
        *_, seen = [seen async for seen in walk(run, Pace())]
        before, steps.since_rest = steps.steps, 0
        found = await child_in_place(run, seen.node, Pace())
        assert found is not None
        assert found.child.life is not None
        assert found.child.life.ref is last
        assert steps.steps - before >= 3 * pace.STEPS
        assert steps.most <= pace.STEPS


# State


async def test_attributes_are_shown_only_if_the_class_allows_it() -> None:
    async with open_supervisor([ChildSpec(Open), ChildSpec(Closed)], at_end="stop") as supervisor:
        page = await page_of(ref_of(supervisor, "Open"))
        assert page["may_show_state"]
        assert page["state"][0] == ("items", "['tea', '<script>']")
        assert page["state"][1][1].startswith("<Raising instance at ")
        page = await page_of(ref_of(supervisor, "Closed"))
        assert (page["may_show_state"], page["state"]) == (False, [])
        assert "tea" not in repr(page)


async def test_an_instance_cannot_show_what_its_class_does_not_allow() -> None:
    class Sly(Closed):
        def __init__(self) -> None:
            super().__init__()
            self.log_state = True

    async with open_supervisor([ChildSpec(Sly)], at_end="stop") as supervisor:
        assert not (await page_of(ref_of(supervisor, "Sly")))["may_show_state"]


# Not there


async def test_a_number_that_no_actor_has_is_not_there() -> None:
    with pytest.raises(NotThere, match="There is no actor #123456789, or it has ended"):
        await look(PAGE, number=123456789)
    with pytest.raises(BadParam, match="number must be a whole number"):
        await look(PAGE)


async def test_a_page_that_is_open_when_its_actor_ends_leads_to_the_next_life(autojump_clock: MockClock) -> None:
    async with open_supervisor([ChildSpec(Plain, id="one"), ChildSpec(Plain, id="two")], at_end="stop") as supervisor:
        ref, observation = ref_of(supervisor, "two"), Observation(current_run())
        await page_of(ref, observation)
        ref.kill()
        await ref.wait()
        page = await page_of(ref, observation)
        assert (page["is_alive"], page["exit"], page["row"]["state"]) == (False, "killed", "ended")
        assert page["next_number"] == ref_of(supervisor, "two")._number
        assert page["actions"] == []
        await supervisor.terminate_child("two")
        assert (await page_of(ref, observation))["next_number"] is None


async def test_a_look_keeps_no_actor_alive() -> None:
    observation = Observation(current_run())
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        ref = await supervisor.start_child(Open, restart="temporary")
        assert ref._cell is not None
        assert ref._cell.actor is not None
        actor, number = weakref.ref(ref._cell.actor), ref._number
        kept = weakref.ref(ref)
        await page_of(ref, observation, trace=1)
        await ref.call(Open.add, "tea")
        await page_of(ref, observation, trace=1)
        await ref.stop()
        del ref
        await wait_all_tasks_blocked()
        gc.collect()
        assert actor() is None
        assert kept() is None
        assert not (await look(PAGE, observation, number=number))["is_alive"]


async def test_an_actor_is_found_in_the_place_in_which_a_walk_sees_it() -> None:
    leaves = [ChildSpec(Plain, id=id) for id in "abc"]
    branches = [ChildSpec(Supervisor, (leaves,), id=id) for id in "xy"]
    async with open_supervisor(branches, at_end="stop"), open_supervisor(leaves, at_end="stop"):
        run, observation = current_run(), Observation(current_run())
        walked = [seen async for seen in walk(run, Pace())]
        assert len(walked) == 11
        for seen in walked:
            assert seen.child.life is not None
            for _ in range(2):  # by a walk, and by what is known from that
                assert await find(observation, seen.child.life.ref._number, Pace()) == seen
            assert await child_in_place(run, seen.node, Pace()) == seen
        assert await child_in_place(run, "0.9", Pace()) is None
        assert await child_in_place(run, "7.1.1", Pace()) is None


# The last messages


@pytest.mark.parametrize(
    ("cls", "text", "outcome", "refused"),
    [
        (Open, "call Open.add('tea')", "-> 'tea'", "raised ValueError('tea')"),
        (Closed, "call Open.add", "done", "raised ValueError"),
    ],
)
async def test_messages_are_recorded_while_the_page_asks_for_them(
    cls: type[Open], text: str, outcome: str, refused: str, autojump_clock: MockClock
) -> None:
    observation = Observation(current_run())
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        ref, other = [await supervisor.start_child(cls, restart="temporary") for _ in range(2)]
        await ref.call(cls.add, "before")
        page = await page_of(ref, observation, trace=1)
        assert (page["is_traced"], page["messages"]) == (True, [])
        await ref.call(cls.add, "tea")
        await other.call(cls.add, "other")
        page = await page_of(ref, observation, trace=1)
        (message,) = page["messages"]
        assert (message["text"].replace("Closed", "Open"), message["outcome"], message["seconds"]) == (text, outcome, 0)
        tracer = next(iter(observation.traces._tracers.values()))
        ref.cast_nowait(cls.refuse, "tea")
        await wait_all_tasks_blocked()
        assert tracer.messages[-1]["outcome"] == refused


async def test_a_handler_that_was_cancelled_is_said_to_be(autojump_clock: MockClock) -> None:
    observation = Observation(current_run())
    async with open_supervisor([ChildSpec(Stuck)], at_end="stop") as supervisor:
        ref = ref_of(supervisor, "Stuck")
        await page_of(ref, observation, trace=1)
        ref.cast_nowait(Stuck.hang)
        await trio.sleep(3)
        tracer = next(iter(observation.traces._tracers.values()))
        ref.kill()
        await ref.wait()
        assert [(each["outcome"], each["seconds"]) for each in tracer.messages] == [("cancelled", 3)]


async def test_a_function_actor_shows_no_arguments(autojump_clock: MockClock) -> None:
    async def listen() -> None:
        while True:
            await receive()

    observation = Observation(current_run())
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        ref = await supervisor.start_child(listen)
        await page_of(ref, observation, trace=1)
        for message in ("secret", "secret"):
            ref.send_nowait(message)
            await wait_all_tasks_blocked()
        (first,) = (await page_of(ref, observation, trace=1))["messages"]
        assert (first["text"], first["outcome"]) == ("send message", "done")


async def test_of_very_many_arguments_only_those_are_looked_at_that_can_be_shown() -> None:
    class Counting:
        shown = 0

        def __repr__(self) -> str:
            type(self).shown += 1
            return "x"

    class Wide(Open):
        def take(self, *args: object, **kwargs: object) -> None:
            pass

    observation = Observation(current_run())
    async with open_supervisor([ChildSpec(Wide, id="one")], at_end="stop") as supervisor:
        ref = ref_of(supervisor, "one")
        await page_of(ref, observation, trace=1)
        await ref.call(Wide.take, *[Counting()] * 1000, **{f"a{number}": Counting() for number in range(1000)})
        (message,) = (await page_of(ref, observation, trace=1))["messages"]
        assert message["text"].endswith("x, x, ...")
        assert Counting.shown == 2 * ARGUMENTS


async def test_only_the_last_messages_are_kept(autojump_clock: MockClock) -> None:
    observation = Observation(current_run())
    async with open_supervisor([ChildSpec(Open)], at_end="stop") as supervisor:
        ref = ref_of(supervisor, "Open")
        await page_of(ref, observation, trace=1)
        for number in range(MESSAGES + 5):
            await ref.call(Open.add, number)
        messages = (await page_of(ref, observation, trace=1))["messages"]
        assert [message["outcome"] for message in messages] == [f"-> {number}" for number in range(24, 4, -1)]


async def test_the_end_of_another_actor_does_not_end_the_record(autojump_clock: MockClock) -> None:
    observation = Observation(current_run())
    async with open_supervisor([ChildSpec(Open), ChildSpec(Plain, id="other")], at_end="stop") as supervisor:
        ref = ref_of(supervisor, "Open")
        await page_of(ref, observation, trace=1)
        ref_of(supervisor, "other").kill()
        await wait_all_tasks_blocked()
        await ref.call(Open.add, 1)
        assert len((await page_of(ref, observation, trace=1))["messages"]) == 1


async def test_a_record_that_has_ended_with_its_actor_ends_with_the_observer_too(autojump_clock: MockClock) -> None:
    observation = Observation(current_run())
    async with open_supervisor([ChildSpec(Open, restart="temporary")], at_end="stop") as supervisor:
        ref = ref_of(supervisor, "Open")
        await page_of(ref, observation, trace=1)
        await ref.stop()
        observation.traces.end()
        assert len(observation.traces) == 0


async def test_the_record_ends_some_seconds_after_the_last_look(autojump_clock: MockClock) -> None:
    run = current_run()
    observation = Observation(run)
    async with open_supervisor([ChildSpec(Open)], at_end="stop") as supervisor:
        ref = ref_of(supervisor, "Open")
        await page_of(ref, observation, trace=1)
        assert run.instruments is not None
        await trio.sleep(RENEWED - 1)
        await page_of(ref, observation, trace=1)
        await trio.sleep(RENEWED - 1)
        await ref.call(Open.add, 1)
        assert run.instruments is not None
        await trio.sleep(1)
        await ref.call(Open.add, 2)
        assert run.instruments is None


async def test_the_record_ends_with_the_last_live_page_and_with_its_actor(autojump_clock: MockClock) -> None:
    run = current_run()
    observation = Observation(run)
    async with open_supervisor([ChildSpec(Open)], at_end="stop") as supervisor:
        with observation.watching():
            await page_of(ref_of(supervisor, "Open"), observation, trace=1)
        assert run.instruments is None
        await page_of(ref_of(supervisor, "Open"), observation, trace=1)
        ref_of(supervisor, "Open").kill()
        await wait_all_tasks_blocked()
        assert run.instruments is None


async def test_an_observer_that_is_garbage_records_no_more(autojump_clock: MockClock) -> None:
    run = current_run()
    observation = Observation(run)
    async with open_supervisor([ChildSpec(Open)], at_end="stop") as supervisor:
        await page_of(ref_of(supervisor, "Open"), observation, trace=1)
        del observation
        gc.collect()
        await ref_of(supervisor, "Open").call(Open.add, 1)
        assert run.instruments is None


async def test_not_very_many_actors_are_recorded_at_once() -> None:
    observation = Observation(current_run())
    async with open_supervisor([ChildSpec(Open) for _ in range(MOST + 1)], at_end="stop") as supervisor:
        for info in supervisor.which_children():
            assert info.ref is not None
            await page_of(info.ref, observation, trace=1)
        assert len(observation.traces) == MOST
        observation.traces.end()
        assert current_run().instruments is None
