"""The examples, run as a user runs them: as programs, judged by what they print and by how they end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from http.client import IncompleteRead
from importlib import import_module
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import trio
from attrs import frozen
from rich.progress import Progress
from support.processes import SECONDS, running

from trioreg import NotRunning

EXAMPLES = Path(__file__).parents[2] / "examples"
AGENTS = EXAMPLES / "secret_agents.py"
CASINO = EXAMPLES / "data" / "casino_royale.txt"
PROGRAM = EXAMPLES / "program.py"

REF = r"<SecretAgent #\d+>"


def command(script: Path, *arguments: str | Path) -> list[str]:
    return [sys.executable, str(script), *map(str, arguments)]


# What the examples print is UTF-8 here, on a machine of any locale, and it is buffered as usual.
ENVIRONMENT = {
    **os.environ,
    "PYTHONIOENCODING": "utf-8",
    "PYTHONUNBUFFERED": "",
    "PYTHONWARNINGS": "default::ResourceWarning",  # what is not closed is written to standard error
    "COLUMNS": "120",
}


def run(script: Path, *arguments: str | Path, stdin: str | bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run a script to its end."""
    text = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        command(script, *arguments), input=text, capture_output=True, timeout=SECONDS, env=ENVIRONMENT, check=False
    )
    stdout, stderr = (output.decode().replace(os.linesep, "\n") for output in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, stdout, stderr)


def talking(script: Path, *arguments: str | Path) -> AbstractContextManager[subprocess.Popen[str]]:
    """Run a script while the test talks to it."""
    return running(command(script, *arguments), stdin=subprocess.PIPE, env=ENVIRONMENT)


def say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def agents(dialogue: str | bytes) -> subprocess.CompletedProcess[str]:
    """The secret agents, with a dialogue on their standard input."""
    return run(AGENTS, "-", stdin=dialogue)


# Every example tells its story


def settled(text: str) -> str:
    """The text without what differs from run to run or between versions of Python and Trio.

    It is bytes, look-ups, and how many codes were tried when the safe was open: the other crackers go on meanwhile.
    """
    text = re.sub(r"[\d,]+ bytes", "N bytes", text)
    text = re.sub(r"(?:\d+ of 10000 codes tried\n)+", "N of 10000 codes tried\n", text)
    return re.sub(r"[\d,]+ look-ups", "N look-ups", text)


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*.py")), ids=lambda script: script.stem)
def test_example_without_arguments_prints_what_is_expected(script: Path) -> None:
    done = run(script)
    expected = (EXAMPLES / "expected" / f"{script.stem}.txt").read_text(encoding="utf-8")
    assert settled(done.stdout) == settled(expected)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_expected_output_belongs_to_an_example() -> None:
    assert {path.stem for path in (EXAMPLES / "expected").iterdir()} == {path.stem for path in EXAMPLES.glob("*.py")}


STORIES = [
    "accounts",
    "carts",
    "chat_server",
    "connection_pool",
    "dispatcher",
    "go_server",
    "nursery_and_dict",
    "program",
    "safe_crackers",
    "web_shop",
]


@pytest.mark.parametrize("name", STORIES)
def test_closed_pipe_ends_a_story_quietly(name: str) -> None:
    with talking(EXAMPLES / f"{name}.py") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no disk that is full")
@pytest.mark.parametrize("name", [*(name for name in STORIES if name != "program"), "secret_agents"])
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["at the end", "at the first line"])
def test_full_disk_ends_a_story_with_one_line_and_status_2(name: str, unbuffered: str) -> None:
    environment = {**ENVIRONMENT, "PYTHONUNBUFFERED": unbuffered}
    with (
        open("/dev/full", "w") as full,
        running(command(EXAMPLES / f"{name}.py"), stdout=full, env=environment) as done,
    ):
        assert done.stderr is not None
        assert re.fullmatch(rf"{name}\.py: \[Errno \d+\] No space left on device\n", done.stderr.read())
        assert done.wait() == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no disk that is full")
@pytest.mark.parametrize("name", ["chat_server", "web_shop"])
def test_server_that_can_not_print_where_it_is_does_not_start(name: str) -> None:
    script = EXAMPLES / f"{name}.py"
    with open("/dev/full", "w") as full, running(command(script, "--serve", "0"), stdout=full) as done:
        assert done.stderr is not None
        assert re.fullmatch(rf"{name}\.py: \[Errno \d+\] No space left on device\n", done.stderr.read())
        assert done.wait() == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no disk that is full")
def test_service_goes_on_if_nothing_can_be_printed() -> None:
    with open("/dev/full", "w") as full, running(command(PROGRAM), stdout=full, env=ENVIRONMENT) as done:
        assert done.stderr is not None
        assert (done.stderr.read(), done.wait()) == ("", 0)


@pytest.mark.parametrize("name", STORIES)
def test_help_says_what_the_example_shows(name: str) -> None:
    done = run(EXAMPLES / f"{name}.py", "--help")
    assert done.stdout.startswith(f"usage: {name}.py")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["connection_pool", "safe_crackers"])
def test_without_rich_an_example_says_what_to_install(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rich.py").write_text("raise ModuleNotFoundError('missing', name='rich')")
    monkeypatch.setitem(ENVIRONMENT, "PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    done = run(EXAMPLES / f"{name}.py")
    assert done.stderr == f"{name}.py needs rich for its progress bar: python -m pip install rich\n"
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        *((name, NotRunning("a pool")) for name in STORIES if name != "program"),
        ("chat_server", trio.BrokenResourceError("a pool")),
        ("web_shop", IncompleteRead(b"a pool")),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_ctrl_c_in_an_actor_is_no_error_of_those_that_talk_to_it(
    name: str, error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = import_module(name)

    def interrupted(*arguments: object, **options: object) -> None:
        raise BaseExceptionGroup("a supervisor", [error, KeyboardInterrupt()])

    monkeypatch.setattr(trio, "run", interrupted)
    monkeypatch.setattr(sys, "argv", [f"{name}.py"])
    assert example.main() == 130
    out, err = capsys.readouterr()
    assert (out, "a pool" in err) == ("", False)


@pytest.mark.parametrize("name", ["connection_pool", "safe_crackers"])
def test_ctrl_c_while_the_progress_bar_goes_away_does_not_stop_that(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    example = import_module(name)
    seen: list[str] = []

    class Interrupted(Progress):
        def stop(self) -> None:
            signal.raise_signal(signal.SIGINT)
            seen.append("the cursor is back")
            super().stop()

    async def show() -> None:
        with example.showing_progress(*[1] if name == "connection_pool" else []):
            pass

    monkeypatch.setattr(example, "Progress", Interrupted)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with pytest.raises(KeyboardInterrupt):
        trio.run(show)
    assert seen == ["the cursor is back"]


@pytest.mark.parametrize("name", ["carts", "chat_server", "dispatcher", "go_server", "web_shop"])
def test_ctrl_c_in_a_story_ends_it_quietly(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = import_module(name)

    async def interrupted() -> None:
        async with trio.open_nursery():
            raise KeyboardInterrupt

    monkeypatch.setattr(example, "story", interrupted)
    monkeypatch.setattr(sys, "argv", [f"{name}.py"])
    assert example.main() == 130
    assert capsys.readouterr() == ("", "")


def test_the_story_counts_thousands_of_look_ups() -> None:
    looks = [int(number.replace(",", "")) for number in re.findall(r"([\d,]+) look-ups", run(AGENTS).stdout)]
    once, a_thousand_times = looks
    assert once >= 2  # at the very least: the end of the old James Bond, and the start of the new one
    assert a_thousand_times >= 2000


# The dialogue that comes with the secret agents


@frozen
class Evening:
    """The dialogue as it was written, and what the program made of it."""

    script: list[str]
    status: int
    stdout: list[str]
    stderr: list[str]

    @property
    def speech(self) -> list[tuple[str, str]]:
        """Each speaker, with the line to say."""
        said = (line.partition(":") for line in self.script if ":" in line and not line.startswith("#"))
        return [(name.strip(), text.strip()) for name, _, text in said if name.strip()]

    @property
    def reported(self) -> dict[int, str]:
        """The lines that were not understood, by number, and what was said of them."""
        reports = (line.removeprefix("line ").partition(": ") for line in self.stderr)
        return {int(number): report for number, _, report in reports}

    def performed(self, word: str) -> list[str]:
        """The names for which a command was performed, in order."""
        lines = (line for number, line in enumerate(self.script, 1) if number not in self.reported)
        return [line.removeprefix(f"{word} ") for line in lines if line.startswith(f"{word} ")]

    def events(self, pattern: str) -> list[tuple[str, ...]]:
        """The groups of the lines of output that are of that form, in order."""
        return [match.groups() for line in self.stdout if (match := re.fullmatch(pattern, line))]


@pytest.fixture(scope="module")
def evening() -> Evening:
    done = run(AGENTS, CASINO)
    script = [line.strip() for line in CASINO.read_text(encoding="utf-8").splitlines()]
    return Evening(script, done.returncode, done.stdout.splitlines(), done.stderr.splitlines())


def presence(script: list[str]) -> Iterator[tuple[int, str, set[str]]]:
    """Follows the script: each line that counts, with its number and the names that are held when it is read."""
    present: set[str] = set()
    for number, line in enumerate(script, 1):
        if line and not line.startswith("#"):
            yield number, line, present
            name, is_speech, _ = line.partition(":")
            if is_speech and name:
                present.add(name.strip())
            elif line.startswith("stop "):
                present.discard(line.removeprefix("stop "))


def lives(evening: Evening) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Follows the output: each event that changes the agents, and the reference of each agent after it."""
    now: dict[str, str] = {}
    for line in evening.stdout:
        if new := re.fullmatch(rf"(.+) is new: ({REF})", line):
            now[new[1]] = new[2]
            yield "new", new[1], now
        elif killed := re.fullmatch(rf"(.+) is killed: ({REF}) is gone, ({REF}) has the name", line):
            assert killed[2] == now[killed[1]]
            now[killed[1]] = killed[3]
            yield "killed", killed[1], now
        elif left := re.fullmatch(r"(.+) has left \(normal\)", line):
            del now[left[1]]
            yield "left", left[1], now
        else:
            yield line, "", now


def test_the_dialogue_has_all_commands_and_many_speakers(evening: Evening) -> None:
    assert len(evening.script) > 300
    assert len({name for name, _ in evening.speech}) >= 36
    assert all(evening.performed(word) for word in ("kill", "stop", "keys", "whereis"))
    assert {"tree", "tables", "count"} <= set(evening.script)


def test_dialogue_is_played_to_its_end(evening: Evening) -> None:
    assert evening.status == 0
    name, text = evening.speech[-1]
    assert evening.stdout[-1] == f'{name} says: "{text}"'


def test_every_line_of_speech_is_answered_once_and_in_order(evening: Evening) -> None:
    assert evening.events(r'(.+?) says: "(.*)"') == evening.speech


def test_only_absent_agents_are_started(evening: Evening) -> None:
    speakers = (
        (line.partition(":")[0].strip(), present) for _, line, present in presence(evening.script) if ":" in line
    )
    absent = [(name,) for name, present in speakers if name and name not in present]
    assert evening.events(rf"(.+) is new: {REF}") == absent


def test_no_reference_is_used_twice(evening: Evening) -> None:
    pattern = rf".+ is new: ({REF})|.+ is killed: {REF} is gone, ({REF}) has the name"
    references = [new or restarted for new, restarted in evening.events(pattern)]
    assert len(references) == len(set(references)) > 50


def test_killed_agents_come_back_under_their_names(evening: Evening) -> None:
    assert [name for event, name, _ in lives(evening) if event == "killed"] == evening.performed("kill")


def test_stopped_agents_leave(evening: Evening) -> None:
    assert [name for event, name, _ in lives(evening) if event == "left"] == evening.performed("stop")


def test_whereis_shows_the_reference_of_the_present_life(evening: Evening) -> None:
    shown: list[str] = []
    for line, _, now in lives(evening):
        if match := re.fullmatch(rf"(.+) is ({REF})", line):
            assert now[match[1]] == match[2]
            shown.append(match[1])
    assert shown == evening.performed("whereis")


def test_keys_shows_the_one_name_of_an_agent(evening: Evening) -> None:
    assert evening.events(r"(.+) holds (\[.+\])") == [(name, f"[{name!r}]") for name in evening.performed("keys")]


def test_count_is_the_number_of_agents_that_are_there(evening: Evening) -> None:
    counts = [(int(line.removeprefix("names held: ")), len(now)) for line, _, now in lives(evening) if "held: " in line]
    assert len(counts) == evening.script.count("count")
    assert [shown for shown, _ in counts] == [there for _, there in counts]
    assert max(shown for shown, _ in counts) >= 30


def test_trees_show_the_present_agents_with_their_references(evening: Evening) -> None:
    tree: dict[str, str] | None = None
    trees = 0
    for line, _, now in lives(evening):
        if line == "dynamic supervisor":
            tree = {}
        elif tree is not None and (match := re.match(rf"[├└]── (.+?)  ({REF})", line)):
            tree[match[1]] = match[2]
            if line.startswith("└"):
                assert tree == {repr(name): ref for name, ref in now.items()}
                trees += 1
    assert trees == evening.script.count("tree")


def test_tables_show_each_name_once_by_name_and_once_by_owner(evening: Evening) -> None:
    by_name: dict[str, str] = {}
    by_owner: dict[str, str] = {}
    tables = 0
    for line, event_name, now in lives(evening):
        if match := re.fullmatch(rf"  (\S.*?) +({REF}) +None", line):
            by_name[match[1]] = match[2]
        elif match := re.fullmatch(rf"  ({REF}) +(\S.*?) +KeyPartition\d +1", line):
            by_owner[match[2]] = match[1]
        elif not event_name and by_name and not re.match(r"(Key|PID)Partition|  (key|owner|-)", line):
            assert by_name == by_owner == {repr(name): ref for name, ref in now.items()}
            by_name, by_owner = {}, {}
            tables += 1
    assert tables == evening.script.count("tables")


def test_exactly_the_wrong_lines_are_reported_with_their_numbers(evening: Evening) -> None:
    wrong: dict[int, str] = {}
    for number, line, present in presence(evening.script):
        word, _, name = line.partition(" ")
        if line.startswith(":"):
            wrong[number] = "there is no name before the colon"
        elif ":" in line or line in ("tree", "tables", "count"):
            continue
        elif word not in ("kill", "stop", "keys", "whereis") or not name:
            wrong[number] = "is neither 'NAME: line' nor a command"
        elif name not in present:
            wrong[number] = f"{name!r} is not registered in 'agents'"
    assert len(wrong) >= 15
    assert evening.reported.keys() == wrong.keys()
    assert all(message in evening.reported[number] for number, message in wrong.items())


# What a line may be


def test_unknown_name_starts_its_agent_and_known_one_answers() -> None:
    done = agents("James Bond: My name is Bond, James Bond.\nJames Bond: Again.\n")
    assert done.stdout.splitlines() == [
        "James Bond is new: <SecretAgent #1>",
        'James Bond says: "My name is Bond, James Bond."',
        'James Bond says: "Again."',
    ]


def test_killed_agent_has_another_reference_and_its_name() -> None:
    done = agents("Q: One.\nkill Q\nwhereis Q\nkeys Q\n")
    assert done.stdout.splitlines()[2:] == [
        "Q is killed: <SecretAgent #1> is gone, <SecretAgent #2> has the name",
        "Q is <SecretAgent #2>",
        "Q holds ['Q']",
    ]


def test_stopped_agent_is_gone_until_it_speaks_again() -> None:
    done = agents("Q: One.\nstop Q\ncount\nQ: Two.\n")
    assert done.stdout.splitlines()[2:] == [
        "Q has left (normal)",
        "names held: 0",
        "Q is new: <SecretAgent #2>",
        'Q says: "Two."',
    ]


def test_no_number_of_kills_ends_the_dialogue() -> None:
    done = agents("Q: One.\n" + "kill Q\n" * 100 + "Q: Two.\ntree\n")
    assert done.stdout.splitlines()[-3:] == [
        'Q says: "Two."',
        "dynamic supervisor",
        "└── 'Q'  <SecretAgent #101>  restarted 100 times",
    ]
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("word", ["kill", "stop", "keys", "whereis"])
def test_command_for_a_free_name_is_reported(word: str) -> None:
    done = agents(f"Q: One.\n{word} Blofeld\nQ: Two.\n")
    assert done.stderr == "line 2: 'Blofeld' is not registered in 'agents'\n"
    assert done.stdout.endswith('Q says: "Two."\n')
    assert done.returncode == 0


@pytest.mark.parametrize("line", ["no colon", "kill", "KILL Q", "tree Q", "count 7"])
def test_line_that_makes_no_sense_is_reported_and_the_dialogue_goes_on(line: str) -> None:
    done = agents(f"Q: One.\n\n# a comment: not speech\n{line}\nQ: Two.\n")
    assert re.fullmatch(rf"line 4: '{line}' is neither 'NAME: line' nor a command \(.+\)\n", done.stderr)
    assert done.stdout.endswith('Q says: "Two."\n')
    assert done.returncode == 0


def test_line_without_a_name_before_its_colon_is_reported() -> None:
    assert agents(" : Who am I?\n").stderr == "line 1: there is no name before the colon\n"


def test_report_of_a_long_line_is_short() -> None:
    assert len(agents("x" * 100_000).stderr) < 200


@pytest.mark.parametrize(
    ("line", "name", "text"),
    [
        ("Q: It is 10:30: hurry.", "Q", "It is 10:30: hurry."),
        ("Q:no space", "Q", "no space"),
        ("  M  :  spaces  ", "M", "spaces"),
        ("kill Q: a play", "kill Q", "a play"),
        ('Łucja "L" O\'Hara: 初めまして 🦜', 'Łucja "L" O\'Hara', "初めまして 🦜"),
        ("Silent One:", "Silent One", ""),
        ("Q: " + "very " * 50_000 + "long", "Q", "very " * 50_000 + "long"),
    ],
    ids=["more colons", "no space", "spaces", "like a command", "odd characters", "no text", "long"],
)
def test_name_is_what_stands_before_the_first_colon(line: str, name: str, text: str) -> None:
    assert agents(line).stdout.splitlines() == [f"{name} is new: <SecretAgent #1>", f'{name} says: "{text}"']


def test_byte_order_mark_and_carriage_returns_do_not_count() -> None:
    done = agents(b"\xef\xbb\xbfQ: One.\r\n\r\ncount\r\n")
    assert done.stdout.splitlines() == ["Q is new: <SecretAgent #1>", 'Q says: "One."', "names held: 1"]
    assert done.stderr == ""


def test_empty_input_is_an_evening_without_guests() -> None:
    done = agents("")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# How the program ends


def test_answers_come_as_soon_as_their_lines_do() -> None:
    with talking(AGENTS, "-") as process:
        say(process, "Q: One.")
        assert [hear(process), hear(process)] == ["Q is new: <SecretAgent #1>", 'Q says: "One."']
        say(process, "count")
        assert hear(process) == "names held: 1"
        rest, errors = process.communicate()
        assert (process.returncode, rest, errors) == (0, "", "")


@pytest.mark.parametrize("what", ["missing", "directory", "forbidden"])
def test_file_that_cannot_be_opened_gets_one_line_and_status_2(what: str, tmp_path: Path) -> None:
    path, reason = tmp_path / "dialogue.txt", "Permission denied"
    match what:
        case "missing":
            reason = "No such file or directory"
        case "directory":
            path, reason = tmp_path, "Is a directory"
        case _:
            path.touch(mode=0o000)
            if os.access(path, os.R_OK):
                pytest.skip("this user may read everything")
    done = run(AGENTS, path)
    assert done.stderr == f"secret_agents.py: cannot read {path}: {reason}\n"
    assert (done.returncode, done.stdout) == (2, "")


def test_file_that_is_not_utf_8_gets_one_line_and_status_2(tmp_path: Path) -> None:
    path = tmp_path / "latin-1.txt"
    path.write_bytes("Q: One.\nÉmile: Où suis-je ?\n".encode("latin-1"))
    done = run(AGENTS, path)
    assert done.stderr == f"secret_agents.py: cannot read {path}: line 2 is not UTF-8\n"
    assert done.returncode == 2


def test_standard_input_that_is_not_utf_8_gets_one_line_and_status_2() -> None:
    done = agents("Q: One.\n".encode("utf-16"))
    assert (done.returncode, done.stderr) == (2, "secret_agents.py: cannot read -: line 1 is not UTF-8\n")


@pytest.mark.parametrize("arguments", [("one", "two"), ("--license-to-kill",)])
def test_wrong_arguments_get_the_usage_and_status_2(arguments: tuple[str, ...]) -> None:
    done = run(AGENTS, *arguments)
    assert done.stderr.startswith("usage: secret_agents.py")
    assert (done.returncode, done.stdout) == (2, "")


def test_help_names_every_command() -> None:
    done = run(AGENTS, "--help")
    assert done.returncode == 0
    assert all(
        f"\n  {word}" in done.stdout for word in ("NAME:", "kill", "stop", "keys", "whereis", "tree", "tables", "count")
    )


@pytest.mark.parametrize("arguments", [(), (CASINO,)], ids=["story", "dialogue"])
def test_closed_pipe_ends_it_quietly(arguments: tuple[Path, ...]) -> None:
    with talking(AGENTS, *arguments) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a single process")
def test_ctrl_c_ends_it_quietly_while_it_waits_for_a_line() -> None:
    with talking(AGENTS, "-") as process:
        say(process, "Q: One.")
        assert [hear(process), hear(process)] == ["Q is new: <SecretAgent #1>", 'Q says: "One."']
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait() == 130


# The story live, in a browser


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a single process")
def test_the_live_story_shows_james_bond_in_the_observer_until_ctrl_c() -> None:
    with talking(AGENTS, "--observe", "127.0.0.1:0") as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said.startswith("trioreg observer: http://127.0.0.1:")
        assert hear(process).startswith("James Bond is killed every 3 seconds")
        address, _, token = said.split()[-1].partition("/?token=")
        asked = Request(f"{address}/api/tree", headers={"Authorization": f"Bearer {token}"})
        with urlopen(asked, timeout=SECONDS) as answer:
            assert b"James Bond" in answer.read()
        assert re.fullmatch(rf"James Bond was {REF}, and is {REF}", hear(process))
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == ""
        assert process.wait() == 130


@pytest.mark.parametrize(
    ("address", "report"),
    [
        ("agents", "--observe: bind must be an address and a port"),
        ("192.0.2.1:4001", "--observe: bind must be a loopback address"),
    ],
)
def test_the_live_story_refuses_an_address_that_is_none(address: str, report: str) -> None:
    done = run(AGENTS, "--observe", address)
    assert done.stderr.startswith(f"secret_agents.py: {report}")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_service_has_a_number_of_reports_or_no_end() -> None:
    done = run(PROGRAM, "3", "--serve")
    assert done.stderr.endswith("program.py: error: give either REPORTS or --serve, not both\n")
    assert (done.returncode, done.stdout) == (2, "")


def test_the_live_story_says_how_to_install_the_observer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "starlette.py").write_text("raise ModuleNotFoundError('missing', name='starlette')")
    monkeypatch.setitem(ENVIRONMENT, "PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    done = run(AGENTS, "--observe")
    assert done.stderr == 'secret_agents.py: trioreg.observer needs starlette: pip install "trioreg[observer]"\n'
    assert (done.returncode, done.stdout) == (2, "")


def test_the_live_story_has_no_dialogue() -> None:
    done = run(AGENTS, "--observe=127.0.0.1:0", CASINO)
    assert done.stderr.endswith("give either FILE or --observe, not both\n")
    assert (done.returncode, done.stdout) == (2, "")


# A service that runs until a signal comes


@pytest.mark.skipif(sys.platform == "win32", reason="no signals for a single process")
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_service_in_order(signum: signal.Signals) -> None:
    with talking(PROGRAM, "--serve") as process:
        while hear(process) != "station: on the air":
            assert process.poll() is None
        process.send_signal(signum)
        out, err = process.communicate()
    *ended, archive = out.splitlines()[:3]
    assert ended == ["Mr. White: off duty", "James Bond: off duty"]
    assert re.fullmatch(r"archive: closed, with \d+ reports", archive)
    logged, *traceback = err.splitlines()
    assert logged == f"service: {signum.name}: shutting down; a second signal ends it at once"
    said = out.splitlines()[3:]
    assert (said, traceback) == ([f"ended by {signum.name}"], [])
    assert process.returncode == (130 if signum == signal.SIGINT else 0)


def test_the_service_ends_by_itself_after_as_many_reports_as_it_is_asked_for() -> None:
    done = run(PROGRAM, "1")
    assert done.stdout.splitlines()[-2:] == ["archive: closed, with 3 reports", "ended by itself"]
    assert (done.returncode, done.stderr) == (0, "")


def test_the_service_refuses_to_file_no_report_at_all() -> None:
    done = run(PROGRAM, "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("REPORTS must be at least 1, not 0\n")


# The safe-crackers, with a progress bar

CRACKERS = EXAMPLES / "safe_crackers.py"
SLOW = ("9999", "--rounds", "2000")  # some seconds of work: a signal comes long before the end


def test_without_a_terminal_the_progress_is_a_line_for_each_tenth() -> None:
    done = run(CRACKERS, "9999", "--rounds", "1", "--crackers", "3")
    lines = [f"{tenth * 1000} of 10000 codes tried" for tenth in range(1, 10)]
    assert [line for line in done.stdout.splitlines() if line != "10000 of 10000 codes tried"] == [
        *lines,
        "the safe is open: 9999",
    ]
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a single process")
def test_ctrl_c_sends_the_crackers_home() -> None:
    with talking(CRACKERS, *SLOW) as process:
        assert hear(process) == "1000 of 10000 codes tried"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert err == "stopped, and the safe is still shut\n"  # not to stdout: Ctrl-C ends its reader, too
    assert (process.returncode, "open" in out) == (130, False)


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
@pytest.mark.parametrize("is_stopped", [False, True])
def test_in_a_terminal_the_progress_is_a_bar_and_the_cursor_comes_back(is_stopped: bool) -> None:
    terminal, inside = os.openpty()
    arguments = SLOW if is_stopped else ("0815",)
    environment = {**ENVIRONMENT, "TERM": "xterm", "LINES": "40"}
    shown = b""
    with running(command(CRACKERS, *arguments), stdin=subprocess.DEVNULL, env=environment, stdout=inside) as process:
        os.close(inside)
        while True:
            try:
                part = os.read(terminal, 4096)
            except OSError:  # the program has ended
                break
            if not part:
                break
            if is_stopped and b"trying codes" in part and b"trying codes" not in shown:
                process.send_signal(signal.SIGINT)
            shown += part
        assert process.stderr is not None
        assert process.stderr.read() == ("stopped, and the safe is still shut\n" if is_stopped else "")
        assert process.wait() == (130 if is_stopped else 0)
    os.close(terminal)
    text = shown.decode()
    assert "/10000" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # hidden, and shown again
    assert text.splitlines()[-1].endswith("the safe is open: 0815") == (not is_stopped)


@pytest.mark.parametrize(
    ("argument", "report"),
    [
        ("815", "a code has four digits, and '815' has not"),
        ("abcd", "a code has four digits, and 'abcd' has not"),
        ("--crackers=0", "must be from 1 to 40, not 0"),
        ("--crackers=41", "must be from 1 to 40, not 41"),
        ("--rounds=-1", "must be from 1 to 100000, not -1"),
        ("--rounds=5000000000", "must be from 1 to 100000, not 5000000000"),
    ],
)
def test_the_crackers_refuse_what_is_no_code_and_no_number(argument: str, report: str) -> None:
    done = run(CRACKERS, argument)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(report + "\n")


def test_the_help_of_the_crackers_says_what_they_do() -> None:
    done = run(CRACKERS, "--help")
    assert done.returncode == 0
    assert "four safe-crackers look for the code of a safe" in done.stdout
    assert "--crackers N" in done.stdout
