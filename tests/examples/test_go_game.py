"""A game of Go as an actor: seats, moves, news, and what is left after a crash or a restart of the program."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast

import pytest
import trio
from go.game import Game, State, games, services, store, tree, watchers
from go.names import BadName, game_id, player_name
from go.rules import IllegalMove
from go.store import Store

from trioreg import ActorExited, debug, open_supervisor
from trioreg.testing import checked, crash, expect_crash

KO = ["D6", "E6", "C5", "F5", "D4", "E4", "J9", "D5", "E5"]  # black has just taken D5


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Path]:
    """The store and the games run. A crash that a test does not expect fails the test."""
    database = tmp_path / "games.sqlite3"
    async with checked(), open_supervisor(tree(str(database)), at_end="stop"):
        yield database


async def started(id: str = "a-17") -> State:
    """A game with two players."""
    assert await games.via(id).call(Game.join, "Ann") == "black"
    assert await games.via(id).call(Game.join, "Bob") == "white"
    return await games.via(id).call(Game.show)


async def play(*moves: str, id: str = "a-17") -> State:
    """Moves of Ann and Bob, who take turns."""
    state = await games.via(id).call(Game.show)
    for number, move in enumerate(moves, state.moves):
        state = await games.via(id).call(Game.play, "Bob" if number % 2 else "Ann", move)
    return state


# Seats


async def test_the_first_two_players_have_the_seats_and_all_others_watch(server: Path) -> None:
    await started()
    assert await games.via("a-17").call(Game.join, "Cyd") is None
    assert (await games.via("a-17").call(Game.show)).players == {"black": "Ann", "white": "Bob"}


async def test_of_many_players_who_come_at_once_each_seat_has_one(server: Path) -> None:
    seats = list[str | None]()

    async def join(player: str) -> None:
        seats.append(await games.via("a-17").call(Game.join, player))

    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(join, f"player {number}")
    assert Counter(seats) == {"black": 1, "white": 1, None: 8}


async def test_a_player_who_comes_back_has_the_same_seat(server: Path) -> None:
    before = await started()
    assert await games.via("a-17").call(Game.join, "Bob") == "white"
    assert await games.via("a-17").call(Game.show) == before


async def test_the_first_player_chooses_the_size(server: Path) -> None:
    await games.via("a-17").call(Game.join, "Ann", 13)
    await games.via("a-17").call(Game.join, "Bob", 19)
    assert (await games.via("a-17").call(Game.show)).size == 13


async def test_a_wrong_size_is_refused_and_the_seat_stays_free(server: Path) -> None:
    with pytest.raises(IllegalMove, match="not 10"):
        await games.via("a-17").call(Game.join, "Ann", 10)
    assert await games.via("a-17").call(Game.join, "Bob") == "black"


async def test_games_do_not_know_of_each_other(server: Path) -> None:
    await started("a")
    await started("b")
    await play("D4", id="a")
    assert (await games.via("b").call(Game.show)).moves == 0


async def test_a_game_that_nobody_has_joined_is_an_empty_board_and_leaves_nothing(server: Path) -> None:
    state = await games.via("a-17").call(Game.show)
    assert (state.version, state.news, set("".join(state.stones))) == (0, "", {"."})
    assert await store.call(Store.read, "a-17") == []


# Moves


async def test_a_move_is_on_the_board_when_its_answer_comes(server: Path) -> None:
    await started()
    state = await play("d4")
    assert state.stones[5] == "...X....."
    assert (state.to_move, state.last_move, state.moves, state.news) == ("white", "D4", 1, "Ann plays D4")


@pytest.mark.parametrize(
    ("player", "move", "reason"),
    [
        ("Cyd", "D4", "Cyd has no seat in this game"),
        ("Bob", "E5", "it is not your turn: black is to move"),
        ("Ann", "D5", "D5 is taken"),
        ("Ann", "Z9", "is not on this board"),
        ("Ann", "", "is no point"),
        ("Ann", "is Cyd", "is no point"),
    ],
)
async def test_a_move_that_is_not_allowed_changes_nothing(server: Path, player: str, move: str, reason: str) -> None:
    await started()
    before = await play("D4", "D5")
    with pytest.raises(IllegalMove, match=reason):
        await games.via("a-17").call(Game.play, player, move)
    assert await games.via("a-17").call(Game.show) == before


async def test_two_passes_end_the_game_with_its_result(server: Path) -> None:
    await started()
    state = await play("E5", "pass", "pass")
    assert (state.result, state.news, state.score) == ("B+73.5", "Ann passes", {"black": 81, "white": 7.5})


async def test_a_player_may_resign_in_the_turn_of_the_other(server: Path) -> None:
    await started()
    state = await games.via("a-17").call(Game.play, "Bob", "resign")
    assert (state.result, state.news, state.last_move) == ("B+R", "Bob resigns", "resign")


async def test_all_who_watch_hear_of_each_change_in_order(server: Path) -> None:
    async with watchers.subscribe("a-17") as feed:
        await started()
        await play("D4", "pass", "resign")
        states = await feed.receive_some()
    assert [state.news for state in states] == [
        "The board has the size 9",
        "Ann is black",
        "Bob is white",
        "Ann plays D4",
        "Bob passes",
        "Ann resigns",
    ]
    assert [state.version for state in states] == [1, 2, 3, 4, 5, 6]


async def test_a_state_can_be_sent_as_json(server: Path) -> None:
    state = await started()
    assert json.loads(json.dumps(state.as_json()))["players"] == {"black": "Ann", "white": "Bob"}


# What a crash leaves


def kill() -> None:
    games.via("a-17").kill()


def crash_it() -> None:
    crash(games.via("a-17"), RuntimeError("a bug"))


@pytest.mark.parametrize("end", [kill, crash_it])
async def test_a_game_is_rebuilt_from_its_moves(server: Path, end: Callable[[], None]) -> None:
    await started()
    before = await play(*KO)
    first = games.whereis("a-17")
    assert first is not None
    end()
    await first.wait()
    assert await games.via("a-17").call(Game.show) == before
    assert before.captures == {"black": 1, "white": 0}
    assert games.whereis("a-17") is not first


async def test_a_ko_is_forbidden_after_a_crash_too(server: Path) -> None:
    await started()
    await play(*KO)
    crash_it()
    with pytest.raises(IllegalMove, match="D5 is forbidden by ko"):
        await games.via("a-17").call(Game.play, "Bob", "D5")


async def test_a_move_that_is_killed_while_it_is_stored_is_kept_whole(
    server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await started()
    is_writing, may_write = trio.Event(), threading.Event()
    append = Store._append

    def slowly(self: Store, *entry: object) -> None:
        trio.from_thread.run_sync(is_writing.set)
        may_write.wait()
        append(self, *entry)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(Store, "_append", slowly)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            with pytest.raises(ActorExited):
                await play("D4")

        await is_writing.wait()
        kill()
        may_write.set()
    assert (await games.via("a-17").call(Game.show)).last_move == "D4"


async def test_a_move_that_cannot_be_stored_is_not_made(server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await started()

    def fail(self: Store, *entry: object) -> None:
        raise OSError("the disk is full")

    async with watchers.subscribe("a-17") as feed:
        with monkeypatch.context() as patch:
            patch.setattr(Store, "_append", fail)
            async with expect_crash(OSError, match="the disk is full"), expect_crash(ActorExited):
                crashing = services.whereis("store", of=Store)
                assert crashing is not None
                with pytest.raises(ActorExited):
                    await play("D4")
                await crashing.wait()  # it ends when its database is closed
        assert feed.statistics().buffered == 0
    assert await games.via("a-17").call(Game.show) == before


async def test_a_database_that_fails_costs_moves_and_not_the_server(
    server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await started()
    living = services.whereis("store", of=Store)

    def fail(self: Store, *entry: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "_append", fail)
        for _ in range(5):  # a supervisor gives up at the fourth restart within five seconds
            async with expect_crash(sqlite3.OperationalError, match="disk is full"):
                with pytest.raises(ActorExited):
                    await play("D4")
    assert services.whereis("store", of=Store) is living
    assert await games.via("a-17").call(Game.show) == before


async def test_an_entry_that_makes_no_sense_closes_its_game_only(server: Path) -> None:
    await store.call(Store.append, "b-2", 0, "nonsense")
    async with expect_crash(ValueError, match="has an entry that makes no sense: 'nonsense'"):
        await games.via("b-2").call(Game.show)
    assert (await started()).version == 3


async def test_a_game_goes_on_when_its_store_is_killed(server: Path) -> None:
    await started()
    killed = services.whereis("store", of=Store)
    assert killed is not None
    database = cast("sqlite3.Connection", debug.state(killed)["database"])
    killed.kill()
    await play("D4")
    database.close()  # an actor that is killed closes nothing
    assert await store.call(Store.read, "a-17") == ["size 9", "black is Ann", "white is Bob", "black D4"]


async def test_games_outlive_the_program(tmp_path: Path) -> None:
    states = list[State]()
    for _ in range(2):
        async with open_supervisor(tree(str(tmp_path / "games.sqlite3")), at_end="stop"):
            if not states:
                await started()
                await play(*KO)
            states.append(await games.via("a-17").call(Game.show))
    assert states[0] == states[1]
    assert states[0].moves == len(KO)


# Names


@pytest.mark.parametrize(("text", "name"), [("Ann", "Ann"), (" Ann Lee ", "Ann Lee"), ("Łucja 🦜", "Łucja 🦜")])
def test_a_player_may_have_any_short_name(text: str, name: str) -> None:
    assert player_name(text) == name


@pytest.mark.parametrize(("text", "name"), [("Ann  Lee", "Ann Lee"), ("Ame\u0301lie", "Am\u00e9lie")])
def test_names_that_look_the_same_are_the_same(text: str, name: str) -> None:
    assert player_name(text) == name


@pytest.mark.parametrize(
    "text", ["", "  ", "A" * 21, "An\nn", "An\x00n", "\u202eAnn", "\ud800", "\u3164", "\u2800 \ufe0f"]
)
def test_what_cannot_be_printed_is_no_name(text: str) -> None:
    with pytest.raises(BadName, match="a name has at"):
        player_name(text)


def test_the_id_of_a_game_is_in_small_letters() -> None:
    assert game_id(" A-17\n") == "a-17"


@pytest.mark.parametrize("text", ["", "a b", "../a", "ä", "a" * 21, "a.sqlite3", "a\nb", "٣"])
def test_the_id_of_a_game_has_few_kinds_of_characters(text: str) -> None:
    with pytest.raises(BadName, match="a game has a name such as a-17"):
        game_id(text)
