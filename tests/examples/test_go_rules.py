"""The rules of Go: known positions, published games, and random games beside a second, naive set of rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from go.rules import STONES, Board, Color, IllegalMove, Match, name_of, neighbours, point_of, result_of
from hypothesis import given
from hypothesis import strategies as st
from support.game_records import GameRecord, read_record
from support.naive_go import NaiveGo

GAMES = Path(__file__).parent / "games"


def board(*rows: str) -> Board:
    """A board with these rows at its top left. The rest is empty."""
    size = next(size for size in (9, 13, 19) if size >= max(len(rows), len(rows[0])))
    filled = [row.replace(" ", "").ljust(size, ".") for row in rows]
    return Board(size, "".join(filled).ljust(size * size, "."))


def match(*rows: str, to_move: Color = "black") -> Match:
    """A game that goes on from such a board."""
    return match_of(board(*rows), to_move)


def match_of(start: Board, to_move: Color = "black") -> Match:
    return Match(start, to_move=to_move, seen=frozenset({start.cells}))


def played(game: Match, *moves: str) -> Match:
    """The game after these moves, in turn."""
    for move in moves:
        game = game.play(game.to_move, move)
    return game


def top(game: Match, count: int, width: int) -> list[str]:
    return [row[:width] for row in game.board.rows[:count]]


# Stones and captures


def test_black_begins_and_the_players_take_turns() -> None:
    game = played(Match.new(9), "D4", "E5", "pass", "F6")
    assert (game.moves, game.to_move) == (("D4", "E5", "pass", "F6"), "black")
    assert game.board.rows[5][3] == "X"
    assert game.board.rows[4][4] == "O"


def test_a_player_who_is_not_to_move_is_told_so() -> None:
    with pytest.raises(IllegalMove, match="it is not your turn: black is to move"):
        Match.new(9).play("white", "D4")


def test_a_point_that_is_taken_stays_taken() -> None:
    with pytest.raises(IllegalMove, match="D4 is taken"):
        played(Match.new(9), "D4", "D4")


def test_a_stone_without_liberties_is_captured() -> None:
    game = played(match(".X.", "XO.", ".X."), "C8")
    assert top(game, 3, 3) == [".X.", "X.X", ".X."]
    assert game.captures == {"black": 1, "white": 0}


def test_a_chain_in_the_corner_is_captured_as_a_whole() -> None:
    game = played(match("OO.", "OX.", "X.."), "C9")
    assert top(game, 2, 3) == ["..X", ".X."]
    assert game.captures["black"] == 3


def test_one_stone_captures_several_chains() -> None:
    game = played(match(".XO.OX", ".XX.XX"), "D9")  # each white stone has one liberty, and it is the same
    assert top(game, 1, 6) == [".X.X.X"]
    assert game.captures["black"] == 2


def test_a_capture_comes_before_the_question_of_suicide() -> None:
    game = played(match(".OX", "OX.", "X.."), "A9")  # without the capture it would be suicide
    assert top(game, 2, 2) == ["X.", ".X"]
    assert game.captures["black"] == 2


@pytest.mark.parametrize(
    ("rows", "point"),
    [
        ((".O", "O."), "A9"),
        ((".XO", "OO."), "A9"),  # two stones
        ((".O..", "O...", "...."), "A9"),
        (("XX.O", "OOO."), "C9"),  # three stones
    ],
    ids=["in the corner", "two stones", "an eye", "three stones"],
)
def test_suicide_is_forbidden(rows: tuple[str, ...], point: str) -> None:
    with pytest.raises(IllegalMove, match=f"{point} is suicide"):
        played(match(*rows), point)


def test_snapback_gives_one_stone_and_takes_eight() -> None:
    game = match(".XO.OX.", ".XO.OX.", ".XOOOX.", ".XXXXX.")
    game = played(game, "D9", "D8")
    assert game.captures == {"black": 0, "white": 1}
    game = played(game, "D9")
    assert game.captures == {"black": 8, "white": 1}
    assert top(game, 3, 7) == [".X.X.X.", ".X...X.", ".X...X."]


# Ko and superko

KO = (".XO.", "XO.O", ".XO.")
TAKEN = (".XO.", "X.XO", ".XO.")


def test_a_ko_can_be_taken_back_only_after_another_move() -> None:
    game = played(match(*KO), "C8")
    assert top(game, 3, 4) == list(TAKEN)
    with pytest.raises(IllegalMove, match="B8 is forbidden by ko"):
        played(game, "B8")
    game = played(game, "J1", "J2", "B8")
    assert top(game, 3, 4) == list(KO)
    assert game.captures == {"black": 1, "white": 1}


def test_triple_ko_ends_when_the_board_would_come_back() -> None:
    game = match(*KO, "....", *TAKEN, "....", *KO)  # 13x13: the kos are at rows 12, 8 and 4
    game = played(game, "C12", "B8", "C4", "B12", "C8")
    with pytest.raises(IllegalMove, match="B4 is forbidden by ko"):
        played(game, "B4")


def test_sending_two_and_returning_one_is_forbidden() -> None:
    game = match(".O.O", "XXO.", to_move="white")
    game = played(game, "A9", "C9")  # white sends two stones, and black takes them with one
    assert top(game, 1, 4) == ["..XO"]
    with pytest.raises(IllegalMove, match="B9 is forbidden by ko"):
        played(game, "B9")


def test_eternal_life_ends_when_the_board_would_come_back() -> None:
    """Black takes two stones, white takes two, each throws one in: then all would be as before."""
    game = match("OX.OOX...", "OOOXXX...", *["..OX....."] * 7)
    game = played(game, "C9", "D9", "B9")
    assert game.captures == {"black": 2, "white": 2}
    with pytest.raises(IllegalMove, match="E9 is forbidden by ko"):
        played(game, "E9")


def test_a_pass_lifts_no_superko() -> None:
    game = match(*KO, "....", *TAKEN)  # two kos, at rows 8 and 4
    game = played(game, "C8", "B4", "pass", "B8")
    with pytest.raises(IllegalMove, match="C4 is forbidden by ko"):  # a ko that white has not taken in the last move
        played(game, "C4")


# The end


def test_two_passes_in_a_row_end_the_game() -> None:
    game = played(Match.new(9), "E5", "pass", "pass")
    assert game.result == "B+73.5"
    with pytest.raises(IllegalMove, match=r"the game is over: B\+73\.5"):
        played(game, "D4")


def test_passes_that_are_not_in_a_row_do_not_end_the_game() -> None:
    assert played(Match.new(9), "pass", "E5", "pass", "D4").result == ""


@pytest.mark.parametrize(("color", "result"), [("black", "W+R"), ("white", "B+R")])
def test_a_player_may_resign_in_any_turn(color: Color, result: str) -> None:
    game = Match.new(9).play(color, "resign")
    assert (game.result, game.moves) == (result, ("resign",))


def test_area_is_the_stones_and_what_only_they_surround() -> None:
    ended = board("..XO.", "..XO.", "XXXO.", "OOOO.")
    assert ended.area() == {"black": 9, "white": 81 - 9}


def test_points_that_both_players_touch_belong_to_neither() -> None:
    wall = [".XO.O....", *["XX.OO...."] * 8]
    assert board(*wall).area() == {"black": 1 + 1 + 16, "white": 81 - 18 - 8}


def test_in_a_seki_an_eye_counts_and_the_shared_liberty_counts_for_neither() -> None:
    seki = board(".X.O.OX..", "XXXOOOX..", "OOOXXXX..", *["..OX....."] * 6)  # C9 kills the chain of who plays there
    assert seki.area() == {"black": 53, "white": 27}


def test_in_a_seki_without_eyes_both_shared_liberties_count_for_neither() -> None:
    """A player who takes A9 or A4 loses the chain at the other."""
    seki = board(".OX", *["XOX"] * 4, ".OX", "OOX", "XXX")
    assert seki.area() == {"black": 71, "white": 8}


def test_on_an_empty_board_white_has_the_komi_only() -> None:
    assert Match.new(9).score() == {"black": 0, "white": 7.5}


@pytest.mark.parametrize(
    ("black", "white", "result"), [(45, 43.5, "B+1.5"), (40, 48.5, "W+8.5"), (181, 180, "B+1"), (40, 40, "0")]
)
def test_result_says_who_wins_and_by_how_much(black: float, white: float, result: str) -> None:
    assert result_of({"black": black, "white": white}) == result


# Names of points


@pytest.mark.parametrize("size", [9, 13, 19])
def test_each_point_has_a_name_of_its_own(size: int) -> None:
    points = [(column, row) for column in range(size) for row in range(size)]
    names = [name_of(point, size) for point in points]
    assert [point_of(name, size) for name in names] == points
    assert not any("I" in name for name in names)


@pytest.mark.parametrize(("name", "point"), [("A1", (0, 18)), ("t19", (18, 0)), ("D4", (3, 15)), ("J09", (8, 10))])
def test_names_are_those_of_gtp(name: str, point: tuple[int, int]) -> None:
    assert point_of(name, 19) == point


@pytest.mark.parametrize("name", ["", "4", "D", "DD", "4D", "D4 ", "D-4", "D4.0", "ß4", "D٤", "D²", "D" * 1000])
def test_what_is_no_point_is_refused(name: str) -> None:
    with pytest.raises(IllegalMove, match="is no point: points are such as D4"):
        point_of(name, 9)


@pytest.mark.parametrize("name", ["I5", "D0", "D10", "K1", "Z1", "D99"])
def test_a_point_that_is_not_on_the_board_is_refused(name: str) -> None:
    with pytest.raises(IllegalMove, match="is not on this board: it has A1 to J9, without an I"):
        point_of(name, 9)


@pytest.mark.parametrize("size", [-1, 0, 8, 20, 361])
def test_no_board_has_another_size(size: int) -> None:
    with pytest.raises(IllegalMove, match=f"a board has the size 9, 13 or 19, not {size}"):
        Match.new(size)


@pytest.mark.parametrize("size", [9, 13, 19])
def test_neighbours_are_mutual_and_as_many_as_the_edges_allow(size: int) -> None:
    around = neighbours(size)
    assert all(place in around[near] for place in range(size * size) for near in around[place])
    assert sum(map(len, around)) == 4 * size * (size - 1)


# Published games


def replay(record: GameRecord) -> Match:
    game = Match.new(record.size, record.komi)
    for color, move in record.moves:
        assert color == game.to_move
        game = played(game, move)
    return game


def naive_replay(record: GameRecord) -> NaiveGo:
    naive = NaiveGo(record.size)
    for _, move in record.moves:
        if move == "pass":
            naive.skip()
        else:
            assert naive.play(point_of(move, record.size))
    return naive


@pytest.mark.parametrize(
    ("name", "moves", "captures"),
    [
        ("ear_reddening", 325, {"black": 31, "white": 29}),
        ("alphago_lee_sedol_4", 180, {"black": 2, "white": 11}),
        ("cgos_1357480", 82, {"black": 2, "white": 6}),
        ("crazy_stone_gnu_go", 65, {"black": 5, "white": 3}),
    ],
)
def test_published_game_is_played_by_the_rules(name: str, moves: int, captures: dict[str, int]) -> None:
    record = read_record(GAMES / f"{name}.sgf")
    game, naive = replay(record), naive_replay(record)
    assert len(game.moves) == moves
    assert game.captures == captures
    assert naive.captures == {"X": captures["black"], "O": captures["white"]}
    assert game.board.rows == naive.rows()


def test_a_game_of_two_programs_has_the_score_that_their_server_published() -> None:
    record = read_record(GAMES / "cgos_1357480.sgf")
    assert replay(record).result == record.result == "W+8.5"


def test_with_the_dead_stones_captured_a_game_has_the_score_that_was_published() -> None:
    record = read_record(GAMES / "crazy_stone_gnu_go.sgf")
    game = replay(record)
    assert game.result == "B+5.5"  # all stones count as alive, and the last white ones are dead
    cleared = Match(Board(9, game.board.cells.replace("O", ".")), record.komi)
    assert result_of(cleared.score()) == record.result == "B+73.5"


def test_in_the_ear_reddening_game_no_ko_could_be_taken_back_at_once() -> None:
    """Its great ko is at N13 and M13. White's first move there takes nothing, and black's last one fills it."""
    record = read_record(GAMES / "ear_reddening.sgf")
    game, taken_in_ko = Match.new(record.size), list[str]()
    for _, move in record.moves:
        before, game = game, played(game, move)
        taken = [place for place, cell in enumerate(before.board.cells) if cell != "." == game.board.cells[place]]
        if len(taken) == 1 and is_ko(game, taken[0]):
            taken_in_ko.append(move)
    moves = [move for _, move in record.moves]
    assert taken_in_ko.count("N13") == moves.count("N13") == 14
    assert taken_in_ko.count("M13") == moves.count("M13") - 2 == 13


def is_ko(game: Match, place: int) -> bool:
    row, column = divmod(place, game.board.size)
    name = name_of((column, row), game.board.size)
    try:
        played(game, name)
    except IllegalMove as error:
        return "forbidden by ko" in str(error)
    return False


# Random games beside the naive rules

SIZE = 4  # so small that captures and kos are frequent
POINTS = st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1))


@given(st.lists(POINTS | st.none(), max_size=60))
def test_random_games_agree_with_the_naive_rules(points: list[tuple[int, int] | None]) -> None:
    game, naive = match_of(Board(SIZE, "." * SIZE * SIZE)), NaiveGo(SIZE)
    for point in points:
        if point is None and game.moves[-1:] != ("pass",):  # a second pass would be the end
            game = played(game, "pass")
            naive.skip()
        elif point is not None:
            try:
                game = played(game, name_of(point, SIZE))
            except IllegalMove:
                assert not naive.play(point)
            else:
                assert naive.play(point)
        assert game.board.rows == naive.rows()
        assert game.captures == {color: naive.captures[stone] for color, stone in STONES.items()}
    assert game.board.area() == {color: naive.score()[stone] for color, stone in STONES.items()}
