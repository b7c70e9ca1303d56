"""The supervision tree as a picture."""

from __future__ import annotations

import gc
import logging
import weakref
from functools import partial
from typing import Any

import pytest
import trio
from support.children import ref_of
from support.errors import Bang
from support.observed import Plain, Raising, Slow, Stuck, look
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorRef,
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    Registry,
    Supervisor,
    open_dynamic_supervisor,
    open_supervisor,
)
from trioreg._observer import BadParam, Observation, pace, survey
from trioreg._observer.branches import BROAD, ENOUGH, MOST
from trioreg._observer.tree import PAGE
from trioreg._observer.unfolded import LONGEST
from trioreg._runtime import current_run


class Till(Actor):
    async def bang(self) -> None:
        raise Bang


def below(id: str, *children: ChildSpec[Any], **kwargs: Any) -> ChildSpec[Any]:
    return ChildSpec(partial(Supervisor, **kwargs), (list(children),), id=id)


def shape(data: Any) -> list[str]:
    """The boxes as text, with two spaces for each level."""
    return [f"{'  ' * node['level']}{node['label']}" for node in data["nodes"]]


def node(data: Any, label: str) -> Any:
    (found,) = (each for each in data["nodes"] if each["label"] == label)
    return found


async def child_of(ref: ActorRef[Supervisor], id: str) -> ActorRef[Any]:
    (child,) = (child for child in await ref.call(Supervisor.which_children) if child.id == id)
    assert child.ref is not None
    return child.ref


async def start_many(ref: ActorRef[DynamicSupervisor], cls: type[Actor], count: int) -> list[ActorRef[Any]]:
    return [await ref.call(DynamicSupervisor.start_child, cls) for _ in range(count)]


async def test_a_supervisor_comes_before_its_children_and_these_in_start_order() -> None:
    tills = below("tills", ChildSpec(Till, id="left"), ChildSpec(Till, id="right"))
    async with open_supervisor([ChildSpec(Plain, id="door"), tills], name="shop", at_end="stop") as shop:
        data = await look(PAGE)
        assert shape(data) == ["shop", "  door", "  tills", "    left", "    right"]
        assert [each["id"] for each in data["nodes"]] == ["0", "0.1", "0.2", "0.2.1", "0.2.2"]
        assert [each["parent"] for each in data["nodes"]] == [None, "0", "0", "0.2", "0.2"]
        assert (data["shown"], data["matched"], data["total"]) == (5, 5, 5)
        assert [(edge["parent"], edge["child"]) for edge in data["edges"]] == [
            ("0", "0.1"),
            ("0", "0.2"),
            ("0.2", "0.2.1"),
            ("0.2", "0.2.2"),
        ]
        door, top = node(data, "door"), node(data, "shop")
        assert (door["kind"], door["cls"], door["path"]) == ("actor", "Plain", "shop")
        assert (door["number"], door["state"]) == (ref_of(shop, "door")._number, "running")
        assert (top["kind"], top["number"], top["children"], top["is_open"]) == ("supervisor", None, 2, True)
        assert node(data, "left")["path"] == "shop/tills"


async def test_a_name_comes_before_an_id_and_an_actor_without_both_is_its_class_and_number() -> None:
    names: Registry[str, object] = Registry("names")
    async with open_dynamic_supervisor(name="shop", at_end="stop") as shop:
        named = await shop.start_child(ChildSpec(Plain, name=names.via("Müller")))
        other = await shop.start_child(Plain)
        data = await look(PAGE)
        assert shape(data) == ["shop", "  Müller", f"  Plain #{other._number}"]
        assert node(data, "Müller")["number"] == named._number


async def test_a_folded_supervisor_is_a_count_of_its_children() -> None:
    tills = below("tills", ChildSpec(Till, id="left"), ChildSpec(Till, id="right"))
    async with open_supervisor([tills], name="shop", at_end="stop"):
        data = await look(PAGE, closed="0.1")
        assert shape(data) == ["shop", "  tills"]
        folded = node(data, "tills")
        assert (folded["children"], folded["is_open"], folded["toggle"]) == (2, False, "open=0.1")
        assert (data["closed"], data["opened"], data["total"]) == ("0.1", "", 4)


async def test_a_folded_supervisor_stays_folded_if_one_below_it_is_to_be_open() -> None:
    tills = below("tills", below("left", ChildSpec(Till)))
    async with open_supervisor([tills], name="shop", at_end="stop"):
        assert shape(await look(PAGE, closed="0.1", open="0.1.1")) == ["shop", "  tills"]


async def test_the_link_of_a_box_folds_it_and_the_next_one_unfolds_it() -> None:
    async with open_supervisor([below("tills", ChildSpec(Till))], name="shop", at_end="stop"):
        fold = node(await look(PAGE), "tills")["toggle"]
        assert fold == "closed=0.1"
        unfold = node(await look(PAGE, closed="0.1"), "tills")["toggle"]
        assert unfold == "open=0.1"
        assert node(await look(PAGE, open="0.1"), "tills")["toggle"] == "closed=0.1"


async def test_a_link_keeps_the_rest_of_the_query() -> None:
    async with open_supervisor([below("tills", ChildSpec(Till))], name="shop", at_end="stop"):
        data = await look(PAGE, open="0.7,0.8", closed="0.9", q="till & co")
        assert data["nodes"] == []
        data = await look(PAGE, open="0.7,0.8", closed="0.9", q="till")
        assert node(data, "shop")["toggle"] == "open=0.7,0.8&closed=0.9,0&q=till"


async def test_a_query_that_grows_too_long_forgets_what_was_unfolded_first() -> None:
    many = ",".join(f"0.{number}" for number in range(1, 401))[:1990].rpartition(",")[0]
    async with open_supervisor([below("tills", ChildSpec(Till))], name="shop", at_end="stop"):
        toggle = node(await look(PAGE, open=many), "tills")["toggle"]
        opened = toggle.partition("&")[0]
        assert len(opened) <= LONGEST + len("open=")
        assert not opened.startswith("open=0.1,")


@pytest.mark.parametrize("name", ["open", "closed"])
@pytest.mark.parametrize("text", ["a", "0.", ".1", "0..1", "0.1;0.2", "٣"])
async def test_a_list_that_is_none_of_places_is_refused(name: str, text: str) -> None:
    with pytest.raises(BadParam, match=f"{name} must be places in the tree, as in 0.3,0.7, not '"):
        await look(PAGE, **{name: text})


async def test_of_many_children_twenty_are_shown_and_the_others_counted() -> None:
    async with open_dynamic_supervisor(name="shop", at_end="stop") as shop:
        for _ in range(BROAD + 30):
            await shop.start_child(Plain)
        data = await look(PAGE)
        more = data["nodes"][-1]
        assert len(data["nodes"]) == 1 + BROAD + 1
        assert (more["id"], more["kind"], more["label"], more["children"]) == ("0.more", "more", "30 more", 30)
        assert (more["path"], more["toggle"]) == ("shop", "")
        assert (data["shown"], data["total"]) == (1 + BROAD, 1 + BROAD + 30)
        assert len((await look(PAGE, open="0"))["nodes"]) == 1 + BROAD + 1


async def test_of_many_children_those_are_shown_that_something_happens_to(autojump_clock: MockClock) -> None:
    observation = Observation(current_run())
    with observation.watching():
        async with open_dynamic_supervisor(name="shop", at_end="stop") as shop:
            refs = [await shop.start_child(Stuck) for _ in range(100)]
            crashed = await shop.start_child(Till)
            busy = refs[70]
            for _ in range(3):
                busy.cast_nowait(Stuck.hang)
            crashed.cast_nowait(Till.bang)
            await wait_all_tasks_blocked()
            data = await look(PAGE, observation)
            shown = [each["number"] for each in data["nodes"]]
            assert busy._number in shown
            assert shown == [None, *sorted(each["number"] for each in data["nodes"][1:-1]), None]
            (again,) = (each for each in data["nodes"] if each["cls"] == "Till")
            assert (again["flash"], again["restarts"]) == ("restart", 1)
            await trio.sleep(4)
            (again,) = (each for each in (await look(PAGE, observation))["nodes"] if each["cls"] == "Till")
            assert again["flash"] == ""


async def test_a_child_far_behind_is_shown_if_the_query_opens_it() -> None:
    names = [f"s{number}" for number in range(60)]
    async with open_supervisor([below(id, ChildSpec(Till, id=f"of {id}")) for id in names], name="shop", at_end="stop"):
        data = await look(PAGE, open="0.55")
        assert node(data, "of s54")["parent"] == "0.55"
        assert len(data["nodes"]) <= MOST


async def test_never_more_than_some_200_boxes_are_shown() -> None:
    children = [below(f"s{one}", *[ChildSpec(Plain) for _ in range(21)]) for one in range(18)]
    async with open_supervisor(children, name="shop", at_end="stop"):
        data = await look(PAGE)
        assert ENOUGH - BROAD <= data["shown"] <= ENOUGH
        everything = await look(PAGE, open=",".join(f"0.{number}" for number in range(1, 19)))
        assert MOST - BROAD <= everything["shown"] <= MOST
        assert len(everything["nodes"]) <= MOST + 20
        filtered = await look(PAGE, q="plain")
        assert filtered["matched"] == 18 * 21
        assert filtered["shown"] <= MOST


async def test_a_filter_shows_what_has_the_words_with_the_supervisors_above() -> None:
    tills = below("tills", ChildSpec(Till, id="left"), ChildSpec(Till, id="right"))
    async with open_supervisor([ChildSpec(Plain, id="door"), tills], name="shop", at_end="stop"):
        data = await look(PAGE, q="LEFT till")
        assert shape(data) == ["shop", "  tills", "    left"]
        assert (data["matched"], data["shown"], data["total"], data["q"]) == (1, 3, 5, "LEFT till")
        assert shape(await look(PAGE, q="door")) == ["shop", "  door"]
        assert shape(await look(PAGE, q="nothing")) == []
        assert shape(await look(PAGE, q="shop/tills")) == ["shop", "  tills", "    left", "    right"]


async def test_a_supervisor_that_a_filter_finds_can_be_opened() -> None:
    tills = below("tills", ChildSpec(Till, id="left"))
    async with open_supervisor([tills], name="shop", at_end="stop") as shop:
        q = f"#{ref_of(shop, 'tills')._number}"
        data = await look(PAGE, q=q)
        assert shape(data) == ["shop", "  tills"]
        assert not node(data, "tills")["is_open"]
        opened = await look(PAGE, q=q, open="0.1")
        assert shape(opened) == ["shop", "  tills", "    left"]
        assert opened["matched"] == 1


async def test_below_a_folded_supervisor_a_filter_shows_nothing() -> None:
    tills = below("tills", ChildSpec(Till, id="left"))
    async with open_supervisor([tills], name="shop", at_end="stop"):
        data = await look(PAGE, q="left", closed="0.1")
        assert shape(data) == ["shop", "  tills"]
        assert data["matched"] == 1


async def test_a_restart_shows_the_new_number_at_the_same_place(autojump_clock: MockClock) -> None:
    observation = Observation(current_run())
    with observation.watching():
        async with open_supervisor([ChildSpec(Till, id="till")], name="shop", at_end="stop") as shop:
            before = node(await look(PAGE, observation), "till")
            ref_of(shop, "till").cast_nowait(Till.bang)
            await wait_all_tasks_blocked()
            data = await look(PAGE, observation)
            after = node(data, "till")
    assert after["id"] == before["id"]
    assert after["number"] > before["number"]
    assert (before["flash"], after["flash"], after["restarts"]) == ("", "restart", 1)
    assert [each["what"] for each in data["happened"]] == ["restart", "crash"]


async def test_a_child_that_waits_for_its_restart_has_crashed_and_has_no_number(autojump_clock: MockClock) -> None:
    observation = Observation(current_run())
    with observation.watching():
        till = ChildSpec(Till, id="till", backoff=Backoff(initial=60))
        async with open_supervisor([till], name="shop", at_end="stop") as shop:
            ref_of(shop, "till").cast_nowait(Till.bang)
            await wait_all_tasks_blocked()
            found = node(await look(PAGE, observation), "till")
            assert (found["flash"], found["state"], found["number"]) == ("crash", "restarting", None)


async def test_a_supervisor_that_gave_up_and_began_again_says_so_at_its_own_box(autojump_clock: MockClock) -> None:
    observation = Observation(current_run())
    with observation.watching():
        games = below("games", ChildSpec(Till, id="till"), max_restarts=0)
        async with open_supervisor([games], name="shop", at_end="stop") as shop:
            (await child_of(ref_of(shop, "games"), "till")).cast_nowait(Till.bang)
            await wait_all_tasks_blocked()
            data = await look(PAGE, observation)
            assert shape(data) == ["shop", "  games", "    till"]
            assert node(data, "games")["flash"] == "give_up"


async def test_a_supervisor_that_gave_up_and_is_gone_keeps_its_place_for_ten_seconds(autojump_clock: MockClock) -> None:
    observation = Observation(current_run())
    with observation.watching():
        async with open_dynamic_supervisor(name="shop", at_end="stop") as shop:
            spec = ChildSpec(partial(Supervisor, max_restarts=0), ([ChildSpec(Till, id="till")],), restart="temporary")
            games = await shop.start_child(spec)
            (await child_of(games, "till")).cast_nowait(Till.bang)
            await wait_all_tasks_blocked()
            data = await look(PAGE, observation)
            assert shape(data) == ["shop", "  Supervisor"]
            gone = data["nodes"][1]
            assert (gone["kind"], gone["flash"], gone["parent"], gone["toggle"]) == ("gone", "give_up", "0", "")
            assert shape(await look(PAGE, observation, closed="0")) == ["shop"]
            assert shape(await look(PAGE, observation, q="shop")) == ["shop"]
            await trio.sleep(11)
            assert shape(await look(PAGE, observation)) == ["shop"]


async def test_a_supervisor_that_gave_up_and_waits_for_its_restart_has_one_box(autojump_clock: MockClock) -> None:
    observation = Observation(current_run())
    with observation.watching():
        spec = ChildSpec(
            partial(Supervisor, max_restarts=0),
            ([ChildSpec(Till, id="till")],),
            id="games",
            backoff=Backoff(initial=60),
        )
        async with open_supervisor([spec], name="shop", at_end="stop") as shop:
            (await child_of(ref_of(shop, "games"), "till")).cast_nowait(Till.bang)
            await wait_all_tasks_blocked()
            data = await look(PAGE, observation)
            assert shape(data) == ["shop", "  games"]
            assert node(data, "games")["state"] == "restarting"


async def test_of_many_supervisors_that_gave_up_the_last_twenty_keep_a_box(autojump_clock: MockClock) -> None:
    observation = Observation(current_run())
    with observation.watching():
        async with open_dynamic_supervisor(name="shop", at_end="stop") as shop:
            for number in range(BROAD + 5):
                games = partial(Supervisor, name=f"g{number}", max_restarts=0)
                spec = ChildSpec(games, ([ChildSpec(Till, id="till")],), restart="temporary")
                (await child_of(await shop.start_child(spec), "till")).cast_nowait(Till.bang)
                await wait_all_tasks_blocked()
            labels = {each["label"] for each in (await look(PAGE, observation))["nodes"]}
    assert labels == {"shop", *(f"g{number}" for number in range(5, BROAD + 5))}


async def test_a_place_at_the_top_stays_the_same_when_another_supervisor_ends() -> None:
    async with open_supervisor([ChildSpec(Plain, id="b")], name="second", at_end="stop"):
        async with open_supervisor(name="first", at_end="stop"):
            assert [each["id"] for each in (await look(PAGE))["nodes"]] == ["0", "0.1", "1"]
            async with open_supervisor(name="third", at_end="stop"):
                ids = {each["label"]: each["id"] for each in (await look(PAGE))["nodes"]}
        assert [each["id"] for each in (await look(PAGE))["nodes"]] == ["0", "0.1"]
        async with open_supervisor(name="fourth", at_end="stop"):
            ids |= {each["label"]: each["id"] for each in (await look(PAGE))["nodes"]}
    assert ids == {"second": "0", "b": "0.1", "first": "1", "third": "2", "fourth": "3"}


async def test_a_name_that_does_harm_is_a_short_text() -> None:
    names: Registry[object, object] = Registry("names")
    async with open_dynamic_supervisor(name="shop", at_end="stop") as shop:
        for key in (Raising(), "x" * 10_000, "one\ntwo", "<script>"):
            await shop.start_child(ChildSpec(Plain, name=names.via(key)))
        data = await look(PAGE)
        assert [each["short"] for each in data["nodes"][2:]] == ["x" * 23 + "…", "one\\ntwo", "<script>"]
        assert all(len(each["label"]) <= 200 for each in data["nodes"])


async def test_slow_reprs_do_not_hold_the_loop() -> None:
    names: Registry[object, object] = Registry("names")
    steps = 0

    async def count() -> None:
        nonlocal steps
        while True:
            await trio.lowlevel.checkpoint()
            steps += 1

    async with open_dynamic_supervisor(name="shop", at_end="stop") as shop, trio.open_nursery() as nursery:
        for _ in range(200):
            await shop.start_child(ChildSpec(Plain, name=names.via(Slow())))
        Slow.asked = 0
        nursery.start_soon(count)
        await look(PAGE, q="slow")
        nursery.cancel_scope.cancel()
        assert Slow.asked < 60
        assert steps > 5


class Steps:
    """Counts the children that a look goes through between two checkpoints. In its clock each takes 20 microseconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.all = self.most = self._rested = 0
        seen, rest = survey.Seen, pace.Pace.rest

        def count(*args: Any) -> survey.Seen:
            self.all += 1
            self.most = max(self.most, self.all - self._rested)
            return seen(*args)

        async def resting(each: pace.Pace) -> None:
            self._rested = self.all
            await rest(each)

        monkeypatch.setattr(survey, "Seen", count)
        monkeypatch.setattr(pace.Pace, "rest", resting)
        monkeypatch.setattr(pace, "perf_counter", lambda: self.all * 0.00002)


@pytest.mark.parametrize("params", [{}, {"q": "plain"}, {"open": "0"}])
async def test_the_children_of_a_large_supervisor_are_walked_in_slices(
    params: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_dynamic_supervisor(name="shop", at_end="stop") as shop:
        for _ in range(2_000):
            await shop.start_child(Plain)
        steps = Steps(monkeypatch)
        data = await look(PAGE, **params)
        assert data["total"] == 2_001
        # A slice is 2 ms. The end of one walk and the begin of the next one may come without a rest in between.
        assert steps.all >= 4_000
        assert steps.most <= 2 * (100 + pace.STEPS)


async def test_a_look_keeps_no_actor_alive(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "trioreg")  # pytest keeps each line, and what it is about
    observation = Observation(current_run())
    async with open_dynamic_supervisor(name="shop", at_end="stop") as shop:
        with observation.watching():
            ref = await shop.start_child(Plain, restart="temporary")
            kept = weakref.ref(ref), weakref.ref(ref._cell)
            data = await look(PAGE, observation)
            assert node(data, f"Plain #{ref._number}")
            await ref.stop()
            del ref
            await wait_all_tasks_blocked()
            gc.collect()
            assert [each() for each in kept] == [None, None]
