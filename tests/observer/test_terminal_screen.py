"""What the terminal shows: lines that fit, whatever the program is called and however wide the terminal is."""

from __future__ import annotations

import unicodedata
from typing import Any, cast

import pytest
from rich.text import Text
from support.answering import node, pages, row

from trioreg._observer_terminal.lines import Column, shares, table, top_of
from trioreg._observer_terminal.pages import SHOWN, actors, happened, log, overview, registries, topics, tree
from trioreg._observer_terminal.plain import count, plain, seconds, size, sparkline
from trioreg._observer_terminal.record import Record
from trioreg._observer_terminal.screen import Showing, fitted, whole

PAGES: list[str | None] = [None, *SHOWN]

NASTY = {
    "escapes": "\x1b[2J\x1b]0;owned\x07\x9b31m",
    "lines": "a\nb\r\tc\x0bd\u2028e",
    "directions": "abc\u202ecba\u2066",
    "surrogates": "a\ud800b",
    "markup": "[bold red]x[/] [/] :smile: [link=http://x]",
    "wide": "漢字" * 300,
    "emojis": "👩‍👩‍👧‍👦❤️🇩🇪" * 50,
    "marks": "a" + "\u0301" * 1000,
    "long": "x" * 10_000,
    "umlauts": "Jürgen Größe",
    "empty": "",
}


def text_of(lines: list[Text]) -> str:
    return "\n".join(line.plain.rstrip() for line in lines)


# Tables


def test_a_table_that_has_too_little_room_uses_all_of_it() -> None:
    columns = [Column(title, lambda row: Text(row.text("text")), least=2) for title in ("a", "b")]
    lines = table(columns, [Record({"text": "x" * 50})], 40, "none")
    assert [line.cell_len for line in lines] == [40, 40]


# Pages


def test_the_head_has_the_program_in_one_line() -> None:
    assert whole("log", pages(), 120)[0].plain == (
        "1,234 actors  56/s messages  2 crashes  longest queue 3  lag 1.2 ms  45.1 MB"
    )


def test_the_head_says_what_is_not_known_yet() -> None:
    data = pages()
    data["overview"].update(messages_per_second=None, loop_lag=None, memory=None, longest_queues=[], crashes=1)
    assert whole("log", data, 120)[0].plain == ("1,234 actors  - messages  1 crash  longest queue 0  lag -")


def test_the_tree_is_drawn_with_guides() -> None:
    assert text_of(tree(Record(pages()["tree"]), 80)).splitlines()[:7] == [
        "Tree  4 of 25 shown",
        "program",
        "├─ agents",
        "│  ├─ James Bond  SecretAgent #7  restarted  3 queued  2 restarts",
        "│  └─ 20 more",
        "├─ games  4 children  restarting",
        "└─ casino  gave up",
    ]


def test_a_long_label_leaves_room_for_what_is_said_of_it() -> None:
    nodes = [node("0", None, "x" * 10_000, number=7, restarts=2, flash="crash")]
    (line,) = tree(Record({"nodes": nodes}), 60)[1:]
    assert line.plain == "x" * 22 + "…  SecretAgent #7  crashed  2 restarts"


def test_a_tree_with_more_levels_than_the_stack_is_drawn() -> None:
    nodes = [node("0", None, "top")]
    for level in range(3000):
        nodes.append(node(f"{level + 1}", f"{level}", f"level {level}"))
    lines = tree(Record({"nodes": nodes, "shown": 3001, "total": 3001}), 60)
    assert "level 2999" in lines[-1].plain
    assert all(line.cell_len <= 60 for line in lines)


def test_a_tree_that_is_a_circle_ends() -> None:
    nodes = [node("0", None, "top"), node("1", "2", "a"), node("2", "1", "b"), node("0", "0", "self")]
    assert text_of(tree(Record({"nodes": nodes}), 60)).splitlines() == ["Tree", "top", "└─ self"]


def test_the_actors_are_a_table_that_says_how_they_are_sorted() -> None:
    page = pages()["actors"]
    page.update(rows=[row("Zoë", 1, queued=1_000_000), row("Cart #9", 9, queued=0)], matched=120, total=5000)
    page.update(q="a", page=2, pages=3)
    lines = text_of(actors(Record(page), 72)).splitlines()
    assert lines == [
        'Actors  120 of 5,000 with "a", the longest queue first, part 2 of 3',
        "Actor    State        Queue  Handled  Restarts  Handles now         For",
        "Zoë #1   running  1,000,000   12,345         2  SecretAgent.echo  1.5 s",
        "Cart #9  running          0   12,345         2  SecretAgent.echo  1.5 s",
    ]


def test_columns_give_way_in_a_narrow_terminal_and_numbers_are_never_cut() -> None:
    assert text_of(actors(Record(pages("An agent with a name")["actors"]), 40)).splitlines()[1:] == [
        "Actor                    Queue  Handled",
        "An agent with a name #7      3   12,345",
    ]


def test_the_registries_are_the_table_viewer_of_the_talk() -> None:
    assert text_of(registries(Record(pages()["registries"]), 70)).splitlines() == [
        "Registries  1",
        "Table Name            Objects    Size  Owner       Registry  Purpose",
        "agents.KeyPartition0        1  2.3 kB  James Bond  agents    names",
    ]


def test_topics_and_pools_are_on_one_page() -> None:
    assert text_of(topics(Record(pages()["topics"]), 90)).splitlines() == [
        "Topics  1",
        "Topic       PubSub  Subscriptions  Waiting  Dropped  Retained",
        "James Bond  news                2        1        0         0",
        "",
        "Pools  1",
        "Pool        Size  Idle  Busy  Waiting  Longest wait  Mean wait  Crashes",
        "workers #9     4     3     1        0                 250.0 ms        0",
    ]


def test_the_log_has_a_line_for_each_event(monkeypatch: pytest.MonkeyPatch) -> None:
    title, columns, line = text_of(log(Record(pages()["log"]), 60)).splitlines()
    assert title == "Log  1"
    assert columns.split() == ["Time", "Level", "Path", "Message"]
    assert line.split()[1:] == ["error", "program/agents", "James", "Bond", "crashed"]


def test_what_happened_is_one_line_each() -> None:
    (line,) = happened(Record(pages()["overview"]), 60)
    assert line.plain[8:] == "  crash    James Bond crashed: ValueError"


def test_the_overview_has_numbers_and_charts() -> None:
    shown = text_of(overview(Record(pages()["overview"]), 80))
    assert "actors          1,234, 1 restarting" in shown
    assert "registries      1 with 1 name" in shown
    assert "since then      2 crashes, 2 restarts, 1 supervisor gave up" in shown
    assert "Messages  56/s (highest 56/s)   ▁▅█" in shown


def test_a_page_without_rows_says_so() -> None:
    assert actors(Record({}), 80)[-1].plain == "There are no actors."
    assert actors(Record({"q": "x"}), 80)[-1].plain == 'There are no actors with "x".'
    assert tree(Record({}), 80)[-1].plain == "The tree is empty."
    assert tree(Record({"q": "x"}), 80)[-1].plain == 'Nothing in the tree has "x".'
    assert overview(Record({}), 80)[-1].plain == "Nothing yet."
    assert overview(Record({"watched_seconds": 12}), 80)[-1].plain == "Nothing in the last 12.0 s."


# All pages, whatever the program says


@pytest.mark.parametrize("width", [1, 40, 80, 140])
@pytest.mark.parametrize("name", NASTY)
def test_no_line_is_wider_than_the_terminal_and_no_character_is_a_command(name: str, width: int) -> None:
    for page in PAGES:
        for line in whole(page, pages(NASTY[name]), width):
            assert line.cell_len <= width
            assert not {unicodedata.category(character) for character in line.plain} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
            assert len(line.plain) <= width + 3000


def test_the_columns_after_a_wide_name_stand_where_they_should() -> None:
    for name in NASTY.values():
        lines = whole("actors", pages(name), 40)
        titles, line = lines[-2:]
        end = titles.plain.index("Handled") + len("Handled")
        assert line.divide([len(line.plain) - (titles.cell_len - end)])[0].plain.endswith(" 12,345")
        assert line.cell_len == titles.cell_len


def test_markup_in_a_name_is_only_text() -> None:
    assert "[bold red]x[/] [/] :smile:" in text_of(whole("actors", pages(NASTY["markup"]), 200))


@pytest.mark.parametrize("wrong", [None, "text", [[]], {}, True, float("nan"), -(10**30)], ids=repr)
def test_an_answer_with_other_types_is_shown_as_far_as_it_goes(wrong: object) -> None:
    for page in SHOWN:
        data = pages()
        for field in [*data[page]]:
            data[page][field] = wrong
            whole(page, data, 80)
    whole(None, dict.fromkeys(pages(), wrong), 80)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("wrong", [None, "text", -7, [], float("inf"), 1e300], ids=repr)
def test_a_row_with_other_types_is_shown_as_far_as_it_goes(wrong: object) -> None:
    for page in SHOWN:
        data = pages()
        for fields in data.values():
            for rows in fields.values():
                if isinstance(rows, list):
                    rows[:] = [
                        dict.fromkeys(cast("dict[str, object]", row), wrong) for row in cast("list[object]", rows)
                    ]
        whole(page, data, 80)


# The screen


@pytest.mark.parametrize("size", [(1, 1), (20, 3), (40, 10), (80, 24), (200, 60)], ids=str)
@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_screen_has_as_many_lines_as_the_terminal(page: str | None, size: tuple[int, int]) -> None:
    for showing in (Showing(page), Showing(page, pages()), Showing(page, pages(), 3, "It does not answer.")):
        lines, _ = fitted(showing, *size)
        assert len(lines) == size[1]
        assert all(line.cell_len <= size[0] for line in lines)


def test_a_page_that_is_too_long_says_how_much_is_left_out() -> None:
    lines, _ = fitted(Showing("log", with_lines(100)), 80, 24)
    assert lines[-2].plain == "… 82 more lines"


def test_scrolling_keeps_the_title_and_ends_at_the_end() -> None:
    showing = Showing("log", with_lines(100), offset=10**9)
    lines, offset = fitted(showing, 80, 24)
    assert lines[2].plain.startswith("Log")
    assert lines[-2].plain.rstrip().endswith("line 99")
    assert offset == 102 - 21


def test_the_sections_of_the_dashboard_share_the_height() -> None:
    data = pages()
    data["tree"]["nodes"] = [node(f"{index}", None, f"node {index}") for index in range(200)]
    data["actors"]["rows"] = [row(f"actor {index}", index) for index in range(50)]
    shown = text_of(fitted(Showing(None, data), 80, 24)[0])
    for text in ("Tree", "node 2", "Actors", "actor 1 ", "agents.KeyPartition0", "What happened last", "ValueError"):
        assert text in shown


def test_a_dashboard_without_room_leaves_sections_out() -> None:
    shown = [line.plain for line in fitted(Showing(None, pages()), 40, 20)[0]]
    assert [line for line in shown if line[:4] in ("Tree", "Acto", "Regi", "What")] == [
        "Tree  4 of 25 shown",
        "Actors  1, the longest queue first",
        "Actor          Queue  Handled  Restarts",
        "What happened last",
    ]
    assert fitted(Showing(None, pages()), 40, 8)[0][3].plain == "Tree  4 of 25 shown"


def test_trouble_is_said_above_the_last_answers() -> None:
    lines, _ = fitted(Showing("log", pages(), trouble="It does not answer."), 80, 24)
    assert lines[0].plain == "It does not answer."
    assert lines[1].plain.startswith("1,234 actors")


def test_the_keys_are_in_the_last_line() -> None:
    lines, _ = fitted(Showing("tree", pages()), 100, 24)
    assert lines[-1].plain == "0 dashboard  1 overview  2 tree  3 actors  4 registries  5 topics  6 log  q leave"
    lines, _ = fitted(Showing("tree", pages()), 40, 24)
    assert lines[-1].plain == "2 tree  tab next page  q leave"


def with_lines(number: int) -> dict[str, dict[str, Any]]:
    data = pages()
    (line,) = data["log"]["lines"]
    data["log"]["lines"] = [{**line, "message": f"line {index}"} for index in range(number)]
    return data


# Numbers and texts


def test_what_is_not_a_number_is_not_known() -> None:
    record = Record({"yes": True, "text": "7", "much": 1e300, "nan": float("nan"), "half": 0.5})
    assert [record.number(name) for name in ("yes", "text", "much", "nan", "missing", "half")] == [None] * 5 + [0.5]


def test_space_is_shared_fairly() -> None:
    assert shares([1, 100, 2, 100], 23) == [1, 10, 2, 10]
    assert shares([1, 2], 10) == [1, 2]
    assert shares([3, 3], 0) == [0, 0]
    assert shares([3, 3], -5) == [0, 0]


def test_lines_that_are_left_out_are_counted() -> None:
    lines = [Text(f"{index}") for index in range(5)]
    assert [line.plain for line in top_of(lines, 3)] == ["0", "1", "… 3 more lines"]
    assert top_of(lines, 5) == lines
    assert top_of(lines, 0) == []


def test_numbers_are_short() -> None:
    assert [count(number) for number in (None, 0, 7, 12345, 0.25, 56.0, 1234.5)] == [
        "-", "0", "7", "12,345", "0.2", "56", "1,234",
    ]  # fmt: skip
    assert [seconds(number) for number in (None, 0, 0.0012, 1, 59.99, 300, 7500, 300_000)] == [
        "-", "0.0 ms", "1.2 ms", "1.0 s", "1 min", "5 min", "2 h 5 min", "3 d 11 h",
    ]  # fmt: skip
    assert [size(number) for number in (None, 12, 34_500, 67_800_000, 999_999, 5e12)] == [
        "-", "12 B", "34.5 kB", "67.8 MB", "1.0 MB", "5.0 TB",
    ]  # fmt: skip


def test_a_sparkline_shows_the_last_points() -> None:
    assert sparkline([None, 0.0, 1.0, 2.0], 4) == " ▁▅█"
    assert sparkline([0.0, 5.0], 1) == "█"
    assert sparkline([0.0, 0.0], 5) == "▁▁"
    assert sparkline([1.0], 0) == ""


def test_a_text_is_one_line_of_what_a_terminal_simply_shows() -> None:
    assert plain("Jürgen 漢字") == "Jürgen 漢字"
    assert plain("a\x1b[31mb\nc\u202e\ud800") == "a�[31mb c��"
    assert plain("❤\ufe0f!") == "❤!"
    assert plain("x" * 501) == "x" * 499 + "…"
