"""What happened while a live page was open."""

from __future__ import annotations

import gc
import logging
import math
import weakref
from functools import partial

import pytest
import trio
from support.children import ref_of
from support.errors import Bang, gives_up
from support.observed import Raising
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ChildSpec, Registry, Supervisor, open_dynamic_supervisor, open_supervisor
from trioreg._observer import Observation
from trioreg._observer.happenings import KEPT, Happening, shown_error
from trioreg._runtime import UNUSUAL, current_run


class Till(Actor):
    async def bang(self, text: object = "no paper") -> None:
        raise Bang(text)

    def note(self, text: object) -> None: ...


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "trioreg")  # pytest keeps each line, and what it is about


def texts(happened: list[Happening]) -> list[str]:
    return [each["text"] for each in happened]


async def test_a_start_a_crash_a_restart_and_an_end_are_sentences_the_newest_first() -> None:
    observation = Observation(current_run())
    with observation.watching():
        async with open_supervisor([ChildSpec(Till, id="till")], name="shop", at_end="stop") as shop:
            first = ref_of(shop, "till")
            first.cast_nowait(Till.bang)
            await wait_all_tasks_blocked()
            second = ref_of(shop, "till")
        happened = observation.happenings.last(10)
    one, two = first._number, second._number
    assert texts(happened) == [
        f"Till #{two} ended: shutdown",
        f"Till #{two} started as restart 1",
        f"Till #{one} crashed: Bang: no paper",
        f"Till #{one} started",
    ]
    assert [each["what"] for each in happened] == ["exit", "restart", "crash", "start"]
    assert {(each["path"], each["kind"]) for each in happened} == {("shop", "Till")}
    assert [each["number"] for each in happened] == [4, 3, 2, 1]
    assert all(each["clock"] > 1e9 for each in happened)


async def test_a_restart_is_known_by_the_name_of_the_actor() -> None:
    names: Registry[str, object] = Registry("names")
    observation = Observation(current_run())
    with observation.watching():
        async with open_supervisor([ChildSpec(Till, name=names.via("Müller"))], at_end="stop") as shop:
            ref_of(shop, "Müller").cast_nowait(Till.bang)
            await wait_all_tasks_blocked()
            restart, crash = observation.happenings.last(2)
    assert (restart["label"], crash["label"]) == ("Müller", "Müller")
    assert restart["text"] == f"Müller restarted as #{restart['actor']} (restart 1)"


async def test_a_supervisor_that_gives_up_is_noted_with_its_path_and_its_limit() -> None:
    observation = Observation(current_run())
    with observation.watching():
        with gives_up():
            async with open_supervisor([ChildSpec(Till, id="till")], name="shop", max_restarts=0) as shop:
                ref_of(shop, "till").cast_nowait(Till.bang)
                await trio.sleep_forever()
        crash_or_give_up = observation.happenings.last(10, lives=False)
        assert observation.happenings.given_up == 1
    assert "shop gave up: more than 0 restarts in 5 seconds" in texts(crash_or_give_up)


async def test_a_crash_is_not_pushed_out_by_a_flood_of_starts(autojump_clock: MockClock) -> None:
    observation = Observation(current_run())
    with observation.watching():
        async with open_dynamic_supervisor(at_end="stop") as tills:
            (await tills.start_child(Till, restart="temporary")).cast_nowait(Till.bang)
            await wait_all_tasks_blocked()
            for _ in range(KEPT + 10):
                await tills.start_child(Till)
        assert [each["what"] for each in observation.happenings.last(3, lives=False)] == ["crash"]
        assert len(observation.happenings.last(5 * KEPT)) == KEPT + 1


async def test_no_actor_no_error_and_no_value_is_kept_after_a_crash() -> None:
    class State:
        pass

    state = State()
    kept = weakref.ref(state)
    observation = Observation(current_run())
    with observation.watching():
        async with open_dynamic_supervisor(at_end="stop") as tills:
            ref = await tills.start_child(Till, restart="temporary")
            ref.cast_nowait(Till.bang, state)
            actor = weakref.ref(ref)
            del ref, state
            await wait_all_tasks_blocked()
            gc.collect()
            assert (kept(), actor()) == (None, None)
            assert [each["what"] for each in observation.happenings.last(2)] == ["crash", "start"]


@pytest.mark.unwatched("the instrument of that would be there, too")
async def test_an_instrument_is_there_exactly_while_a_page_is_open() -> None:
    run = current_run()
    observation = Observation(run)
    assert run.instruments is None
    with observation.watching():
        with observation.watching():
            assert run.instruments is not None
        assert run.instruments is not None
    assert run.instruments is None


@pytest.mark.unwatched("the instrument of that would be there, too")
async def test_messages_take_their_usual_way_while_a_page_is_open() -> None:
    run = current_run()
    with Observation(run).watching():
        assert run not in UNUSUAL and run.instruments not in UNUSUAL
        assert run.instruments is not None and run.instruments.new_message is None
        assert not run.instruments.see_names


async def test_a_name_whose_repr_raises_does_not_remove_the_instrument() -> None:
    names: Registry[Raising, object] = Registry("names")
    observation = Observation(current_run())
    with observation.watching():
        async with open_supervisor([ChildSpec(Till, name=names.via(Raising()))], at_end="stop"):
            pass
        assert current_run().instruments is not None
        assert [each["what"] for each in observation.happenings.last(2)] == ["exit", "start"]


async def test_what_happened_to_an_actor_is_known_for_some_seconds(autojump_clock: MockClock) -> None:
    observation = Observation(current_run())
    with observation.watching():
        async with open_supervisor([ChildSpec(Till, id="till")], at_end="stop") as shop:
            first = ref_of(shop, "till")
            first.cast_nowait(Till.bang)
            await wait_all_tasks_blocked()
            second = ref_of(shop, "till")
            await trio.sleep(2)
            assert observation.happenings.lately(3) == {first._number: "crash", second._number: "restart"}
            await trio.sleep(2)
            assert observation.happenings.lately(3) == {}


async def test_a_crash_of_an_actor_from_before_the_page_was_opened_has_its_path_after_a_look() -> None:
    observation = Observation(current_run())
    async with open_supervisor([ChildSpec(Till, id="till")], name="shop", at_end="stop") as shop:
        with observation.watching() as watch:
            await watch.look(observation.samples.census)
            ref_of(shop, "till").cast_nowait(Till.bang)
            await wait_all_tasks_blocked()
            crash = observation.happenings.last(2)[1]
    assert (crash["what"], crash["path"]) == ("crash", "shop")


async def test_a_crash_of_an_actor_that_no_look_has_seen_has_no_path() -> None:
    observation = Observation(current_run())
    async with open_supervisor([ChildSpec(Till, id="till")], name="shop", at_end="stop") as shop:
        with observation.watching():
            ref_of(shop, "till").cast_nowait(Till.bang)
            await wait_all_tasks_blocked()
            crash = observation.happenings.last(2)[1]
    assert (crash["what"], crash["path"]) == ("crash", "")


async def test_a_supervisor_below_another_one_is_noted_when_it_gives_up() -> None:
    observation = Observation(current_run())
    below = ChildSpec(partial(Supervisor, max_restarts=0), ([ChildSpec(Till, id="till")],), id="games")
    with observation.watching():
        async with open_supervisor([below], name="shop", at_end="stop") as shop:
            games = ref_of(shop, "games")
            (child,) = await games.call(Supervisor.which_children)
            assert child.ref is not None
            child.ref.cast_nowait(Till.bang)
            await wait_all_tasks_blocked()
            assert [*observation.happenings.gave_up_lately(10)] == ["shop/games"]


class Large:
    asked = 0

    def __repr__(self) -> str:
        type(self).asked += 1
        return "large"


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (Bang("no paper"), "Bang: no paper"),
        (Bang("one\ntwo"), "Bang: one\\ntwo"),
        (KeyError(5), "KeyError: 5"),
        (Bang(), "Bang"),
        (Bang(""), "Bang"),
        (Bang(True), "Bang: True"),
        (Bang(math.inf), "Bang: inf"),
        (Bang(10**5000), "Bang"),
        (Bang(["a"] * 10), "Bang"),
        (ExceptionGroup("two", [Bang("a"), Bang("b")]), "ExceptionGroup: two"),
    ],
)
def test_an_error_is_shown_in_one_short_line(error: BaseException, shown: str) -> None:
    assert shown_error(error) == shown


def test_a_large_error_is_cut_and_no_repr_is_asked() -> None:
    assert shown_error(Bang(Large())) == "Bang"
    assert Large.asked == 0
    assert len(shown_error(Bang("x" * 10**6))) < 300
