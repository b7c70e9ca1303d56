"""`python -m trioreg.observer` as a command: arguments, output, exit status, and a terminal that is as before."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.answering import TOKEN, Program, Request, answering
from support.ttys import in_a_tty

from trioreg import observer
from trioreg._observer_terminal import main
from trioreg._observer_terminal.arguments import PAGES, read_arguments


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "TRIOREG_OBSERVER_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with answering("/prefix") as program:
        yield program


Capture = pytest.CaptureFixture[str]


# What is printed


def test_once_prints_the_dashboard_as_plain_text(
    program: Program, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main([program.url, "--once"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("1,234 actors  56/s messages")
    for text in ("├─ agents\n", "Actors  1, the longest queue first\n", "agents.KeyPartition0", "What happened last\n"):
        assert text in out
    assert "\x1b" not in out
    assert not any(line.endswith(" ") for line in out.splitlines())
    assert err == ""


def test_output_that_is_no_terminal_is_plain_text_once_even_with_force_color(
    program: Program, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert main([program.url]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_once_in_a_terminal_has_colours_and_leaves_the_screen_as_it_is(
    program: Program, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main([program.url, "--once"]) == 0
    out = capsys.readouterr().out
    assert "What happened last" in out
    assert "\x1b[1" in out
    assert "\x1b[?" not in out


@pytest.mark.parametrize("page", PAGES)
def test_once_prints_the_page_that_is_asked_for(program: Program, capsys: Capture, page: str) -> None:
    assert main([program.url, "--once", "--page", page]) == 0
    assert {request.path for request in program.requests} == {"/prefix/api/overview", f"/prefix/api/{page}"}
    assert "James Bond" in capsys.readouterr().out


def test_json_is_one_object_with_the_pages(program: Program, capsys: Capture) -> None:
    assert main([program.url, "--json"]) == 0
    out = capsys.readouterr().out
    assert json.loads(out) == program.data
    assert [*json.loads(out)] == [*PAGES]


def test_json_of_one_page_has_that_page_and_no_character_beyond_ascii(program: Program, capsys: Capture) -> None:
    program.data["log"]["q"] = "ä\x1b\x9b\u202e"
    assert main([program.url, "--json", "--page", "log", "--filter", "ä"]) == 0
    out = capsys.readouterr().out
    assert json.loads(out) == {"log": program.data["log"]}
    assert out.isascii()
    assert "\x1b" not in out
    assert [request.params for request in program.requests] == [{"q": "ä"}]


def test_actors_are_sorted_as_asked(program: Program, capsys: Capture) -> None:
    assert main([program.url, "--once", "--page", "actors", "--sort", "handled", "--filter", "bond"]) == 0
    assert program.requests[-1].params == {"q": "bond", "sort": "handled", "down": "1"}


def test_a_name_that_the_encoding_of_stdout_does_not_have_is_no_error(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, write = os.pipe()
    with os.fdopen(read, encoding="ascii") as out:
        with os.fdopen(write, "w", encoding="ascii") as stdout:
            monkeypatch.setattr(sys, "stdout", stdout)
            program.data["actors"]["rows"][0]["label"] = "Jürgen"
            assert main([program.url, "--once", "--page", "actors"]) == 0
        assert "J?rgen" in out.read()


def test_the_token_can_come_from_the_environment(
    program: Program, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIOREG_OBSERVER_TOKEN", TOKEN)
    assert main([program.url.partition("?")[0], "--once"]) == 0


# Errors


def test_a_program_that_is_not_there_is_one_sentence_and_1(capsys: Capture) -> None:
    with answering() as program:
        url = program.url
    assert main([url, "--once"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"Nothing answers at http://127\.0\.0\.1:\d+/: connection refused\n", err)


def test_a_wrong_token_is_one_sentence_and_1(program: Program, capsys: Capture) -> None:
    assert main([program.url.replace(TOKEN, "wrong"), "--json"]) == 1
    assert re.fullmatch(r"http\S+ does not take this token: .*\n", capsys.readouterr().err)


def test_an_argument_that_the_program_does_not_take_is_2(program: Program, capsys: Capture) -> None:
    program.answer = lambda request: (400, {}, b'{"error": "q must be shorter."}')
    assert main([program.url, "--once"]) == 2
    assert "does not take an argument: q must be shorter." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the following arguments are required: URL"),
        (["http://h/"], "TRIOREG_OBSERVER_TOKEN"),
        (["http://h/?token=t", "--page", "tables"], "argument --page: invalid choice: 'tables'"),
        (["http://h/?token=t", "--sort", "size"], "argument --sort: invalid choice: 'size'"),
        (["http://h/?token=t", "--interval", "0"], "must be a number of seconds, 0.1 to 3600, not '0'"),
        (["http://h/?token=t", "--interval", "3600.1"], "must be a number of seconds, 0.1 to 3600, not '3600.1'"),
        (["http://h/?token=t", "--interval", "nan"], "must be a number of seconds, 0.1 to 3600, not 'nan'"),
        (["http://h/?token=t", "--interval", "x"], "must be a number of seconds, 0.1 to 3600, not 'x'"),
        (["http://h/?token=t", "--filter", "x" * 201], "must have at most 200 characters, not 201"),
        (["http://h/?token=t", "--filter", "a\udcffb"], "must be printable text"),
    ],
)
def test_a_wrong_argument_is_said_and_2(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.delenv("TRIOREG_OBSERVER_TOKEN", raising=False)
    with pytest.raises(SystemExit) as info:
        main(arguments)
    assert info.value.code == 2
    assert said in capsys.readouterr().err


def test_help_names_the_keys_the_status_and_the_variable_for_the_token(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as info:
        read_arguments(["--help"])
    assert info.value.code == 0
    shown = capsys.readouterr().out
    for text in ("TRIOREG_OBSERVER_TOKEN", "leave", "130", "overview, tree, actors, registries, topics, log"):
        assert text in shown


@pytest.mark.parametrize("at", [0, 1], ids=["first look", "second look"])
def test_ctrl_c_while_it_asks_is_130(program: Program, capsys: Capture, at: int) -> None:
    program.data["overview"]["messages_per_second"] = None
    looks: list[Request] = []

    def interrupt(request: Request) -> None:
        if request.path == "/prefix/api/overview":
            looks.append(request)
        if (request.path, len(looks)) == (("/prefix/api/overview", 1), ("/prefix/live/overview", 1))[at]:
            os.kill(os.getpid(), signal.SIGINT)

    program.answer = interrupt
    assert main([program.url, "--once"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_broken_pipe_is_no_traceback(program: Program, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w", encoding="utf-8") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main([program.url, "--json"]) == 141
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
def test_output_that_cannot_be_written_is_one_sentence_and_1(
    program: Program, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open("/dev/full", "w", encoding="utf-8") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main([program.url, "--once"]) == 1
    assert capsys.readouterr().err == "The output cannot be written: No space left on device\n"


# In a terminal

RUN = "from trioreg._observer_terminal import main; sys.exit(main())"


def test_in_a_terminal_it_renews_itself_and_listens_to_keys(program: Program) -> None:
    with in_a_tty(RUN, [program.url, "--interval", "0.1"]) as tty:
        assert "\x1b[?1049h" in tty.read_until("What happened last")
        assert tty.attributes() != tty.before
        program.data["actors"]["rows"][0]["label"] = "Le Chiffre\x1b[2J"
        tty.read_until("Le Chiffre")
        tty.type("3")
        shown = tty.read_until("\x1b[1;7m3 actors").replace("\x1b[2J", "CLEAR")
        assert "CLEAR" not in shown
        tty.resize(50, 10)
        tty.read_until("tab next page  q leave")
        tty.type("q")
        assert "\x1b[?7h" in tty.read_until("\x1b[?1049l")
        assert tty.exit_status() == 0
        assert tty.attributes() == tty.before


def test_ctrl_z_gives_the_terminal_back_and_ctrl_c_is_130(program: Program) -> None:
    with in_a_tty(RUN, [program.url]) as tty:
        tty.read_until("What happened last")
        tty.type("\x1a")
        tty.read_until("\x1b[?1049l")
        tty.wait_for_stop()
        assert tty.attributes() == tty.before
        tty.go_on()
        tty.read_until("\x1b[?1049h")
        tty.read_until("What happened last")
        tty.type("\x03")
        tty.read_until("\x1b[?1049l")
        assert tty.exit_status() == 130
        assert tty.attributes() == tty.before


def test_no_color_is_obeyed_and_the_end_of_the_program_is_said_although_no_key_can_be_pressed() -> None:
    code = f"""
os.environ["NO_COLOR"] = "1"
sys.stdin = None
from trioreg._observer_terminal import live
live.PATIENCE = live.TRY_AGAIN = 0.0
{RUN}"""
    with answering() as program:
        url = program.url
        with in_a_tty(code, [url, "--interval", "0.1"]) as tty:
            shown = tty.read_until("What happened last")
            assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", shown)
            program.answer = lambda request: (200, {"Connection": "close", "Content-Length": "9"}, b"")
            tty.read_until(" has ended.")
            assert tty.exit_status() == 0


# As a module


def run_module() -> None:
    """``python -m trioreg.observer`` in this process. `runpy` fails where pytest rewrites the asserts of trioreg."""
    path = observer.__file__
    code = compile(Path(path).read_text(encoding="utf-8"), path, "exec")
    exec(code, {"__name__": "__main__", "__package__": "trioreg", "__file__": path})


def test_the_module_is_the_command(program: Program, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["observer", program.url, "--json", "--page", "log"])
    with pytest.raises(SystemExit) as raised:
        run_module()
    assert (raised.value.code, json.loads(capsys.readouterr().out)) == (0, {"log": program.data["log"]})


def test_without_the_extra_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    with pytest.raises(SystemExit) as raised:
        run_module()
    assert raised.value.code == 'trioreg.observer needs rich: pip install "trioreg[observer]"'
