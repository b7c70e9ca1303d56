"""Each code block of the docs runs in a test, and so do the fragments: each here, with what it needs around it."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx
import hypercorn.trio
import pytest
import trio
from hypercorn.config import Config
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount
from support.doc_blocks import BLOCKS, FENCE, PAGES, ROOT, RUNNERS, Block, block
from support.inside import number_actors_from_one
from support.processes import SECONDS, running
from support.web import BEARER, HOST, Listener, app_of, page_of, page_with
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    ChildSpec,
    DynamicSupervisor,
    Event,
    Exit,
    Registry,
    child,
    observer,
    open_dynamic_supervisor,
)

SHOWN: list[Block] = []
"""The blocks that the tests of this file run."""


def shown(page: str, start: str) -> Block:
    """The block of a page that begins with that line. The test that gets it runs it."""
    SHOWN.append(block(page, start))
    return SHOWN[-1]


def fragment(page: str, start: str) -> pytest.MarkDecorator:
    """The argument ``program`` of the test is that block."""
    return pytest.mark.parametrize("program", [pytest.param(shown(page, start), id=page)])


def test_each_code_block_has_one_place_that_runs_it() -> None:
    runners = {each.place: [name for name, runs in RUNNERS.items() if runs(each)] for each in BLOCKS}
    for fragment in SHOWN:
        runners[fragment.place].append("this file")
    assert {place: names for place, names in runners.items() if len(names) != 1} == {}


@pytest.mark.parametrize("runner", RUNNERS)
def test_each_file_that_runs_blocks_takes_them_from_the_list(runner: str) -> None:
    file, *_ = runner.split(", ")
    assert f'ran_by("{runner}")' in (ROOT / file).read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_code_in_no_other_form(page: Path) -> None:
    text = page.read_text("utf-8")
    assert re.findall(r"^ *(?:~~~|```\{(?:code|literal)|\.\. (?:code|doctest|literal)|>>> ).*", text, re.M) == []
    assert re.findall(r"^ *```.*", FENCE.sub("", text), re.M) == []  # a fence that the list does not see


# Programs


@pytest.fixture
def orderly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program ends as soon as it stands, as `systemctl stop` does it. The observer's port is any free one."""
    run = trioreg.run

    async def systemctl_stop() -> None:
        await wait_all_tasks_blocked()
        signal.raise_signal(signal.SIGTERM)

    def run_to_its_end(children: list[ChildSpec], **options: Any) -> None:
        if "observe" in options:
            assert options["observe"] == "127.0.0.1:4001"
            options["observe"] = "127.0.0.1:0"
        run([*children, ChildSpec(systemctl_stop, restart="temporary")], **options)

    monkeypatch.setattr(trioreg, "run", run_to_its_end)


class Shop(Actor):
    pass


PROGRAMS = [
    shown("docs/observer.md", "import trioreg"),
    shown("docs/reference/seeing.md", 'trioreg.run([ChildSpec(Shop)], observe="127.0.0.1:4001")'),
]
ADDRESS = shown("docs/observer.md", "trioreg observer: http://127.0.0.1:4001/?token=…")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM ends a process of Windows at once")
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda block: block.place)
def test_a_program_with_an_observer_prints_the_address(
    orderly: None, capsys: pytest.CaptureFixture[str], program: Block
) -> None:
    program.run(trioreg=trioreg, ChildSpec=ChildSpec, Shop=Shop)
    assert re.sub(r":\d+/\?token=\S+", ":4001/?token=…", capsys.readouterr().err) == ADDRESS.code


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM ends a process of Windows at once")
@fragment("docs/reference/programs.md", "import trioreg")
def test_a_program_ends_in_order(orderly: None, capsys: pytest.CaptureFixture[str], program: Block) -> None:
    program.run()
    assert capsys.readouterr().out == "the shop is open\nthe shop is closed: shutdown\n"


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM ends a process of Windows at once")
@fragment("docs/seeing.md", "from trioreg.telemetry import Telemetry")
def test_telemetry_sees_the_actors_from_their_start(
    orderly: None, monkeypatch: pytest.MonkeyPatch, program: Block
) -> None:
    from trioreg import telemetry

    seen: list[object] = []

    class Seen(telemetry.Telemetry):
        def actor_started(self, ref: ActorRef[Any]) -> None:
            super().actor_started(ref)
            seen.append(str(ref))

    monkeypatch.setattr(telemetry, "Telemetry", Seen)
    number_actors_from_one(monkeypatch)
    program.run(trioreg=trioreg, children=[ChildSpec(Shop)])
    assert seen[0] == "<Shop #1>"


@fragment("docs/actors.md", "trio.run(main, restrict_keyboard_interrupt_to_checkpoints=True)")
def test_ctrl_c_is_raised_in_the_main_task_and_crashes_no_actor(program: Block) -> None:
    seen: list[str] = []

    class Account(Actor):
        def deposit(self) -> str:
            signal.raise_signal(signal.SIGINT)
            return "the actor has answered"

        async def on_stop(self, exit: Exit) -> None:
            seen.append(exit.reason)

    async def main() -> None:
        async with open_dynamic_supervisor() as supervisor:
            account = await supervisor.start_child(Account)
            seen.append(await account.call(Account.deposit))
            await trio.lowlevel.checkpoint()
            seen.append("the main task goes on")

    with pytest.raises(BaseExceptionGroup) as caught:
        program.run(trio=trio, main=main)
    assert caught.group_contains(KeyboardInterrupt)
    assert seen == ["the actor has answered", "shutdown"]


@fragment("docs/performance.md", "import gc")
def test_the_collector_has_short_collections_only_and_no_object_of_the_start_to_look_at(program: Block) -> None:
    code = f"{program.code}\nprint(gc.get_threshold(), len(gc.get_objects()) < 50)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == "(100, 2, 100000) True\n"


@pytest.fixture
def own_logging() -> Iterator[None]:
    """The configuration of the log ends with the test."""
    root, loggers = logging.getLogger(), logging.Logger.manager.loggerDict.values()
    before = root.level, root.handlers[:], [logger for logger in loggers if getattr(logger, "disabled", False)]
    yield
    for logger in loggers:
        if isinstance(logger, logging.Logger):
            logger.disabled = logger in before[2]
    root.handlers[:] = before[1]
    root.setLevel(before[0])


@pytest.mark.parametrize("is_kept", [True, False])
@fragment("docs/logs.md", "import logging.config")
async def test_a_crash_is_in_the_log_because_the_loggers_are_kept(
    own_logging: None, capsys: pytest.CaptureFixture[str], is_kept: bool, program: Block
) -> None:
    code = program.code if is_kept else program.code.replace('        "disable_existing_loggers": False,\n', "")
    exec(code, {})

    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        ref = await supervisor.start_child(Sick, restart="temporary")
        await ref.wait()
    assert ("ValueError: broken data" in capsys.readouterr().err) is is_kept


class Sick(Actor):
    async def on_started(self) -> None:
        raise ValueError("broken data")


# Servers


class Session(Actor):
    """What the page on connections has, and says when it cannot read."""

    def __init__(self, stream: trio.SocketStream, greeting: str = "hello") -> None:
        self.stream = stream
        self.greeting = greeting

    async def on_started(self) -> None:
        await self.stream.send_all(self.greeting.encode())
        self.start_soon(self.read)

    async def read(self) -> None:
        while await self.stream.receive_some():
            pass
        self.stop()


class AServerThatStops:
    """In the place of Trio: as soon as its one client has the greeting, the server is cancelled."""

    SocketStream = trio.SocketStream

    def __init__(self) -> None:
        self.read: list[bytes | bytearray] = []

    async def serve_tcp(self, handle: Callable[[trio.SocketStream], Any], port: int) -> None:
        async with trio.open_nursery() as nursery:
            serve = partial(trio.serve_tcp, handle, 0, host="127.0.0.1")
            listeners: list[trio.SocketListener] = await nursery.start(serve)
            async with await trio.testing.open_stream_to_socket_listener(listeners[0]) as client:
                self.read.append(await client.receive_some())
                nursery.cancel_scope.cancel()
                with trio.CancelScope(shield=True):
                    self.read += [chunk async for chunk in client]


@fragment("docs/how-to/connections.md", "async def handle(stream: trio.SocketStream) -> None:")
async def test_what_most_people_write_first_leaves_actors_with_closed_streams(program: Block) -> None:
    ends: list[Exit] = []

    class Watched(Session):
        async def on_stop(self, exit: Exit) -> None:
            ends.append(exit)

    server = AServerThatStops()
    with pytest.raises(ExceptionGroup) as caught:
        async with open_dynamic_supervisor() as sessions:
            await program.run_in_function(trio=server, sessions=sessions, Session=Watched)
    assert server.read == [b"hello"]
    assert isinstance(ends[0].error, trio.ClosedResourceError)
    assert caught.group_contains(trioreg.RestartLimitExceeded)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM ends a process of Windows at once")
@fragment("docs/how-to/connections.md", "async def serve(port: int) -> None:")
def test_a_session_can_use_the_archive_until_its_own_end(monkeypatch: pytest.MonkeyPatch, program: Block) -> None:
    names: Registry[str, None] = Registry("names")
    kept: list[str] = []

    class Archive(Actor):
        def keep(self, text: str) -> None:
            kept.append(text)

    class Archiving(Session):
        async def on_stop(self, exit: Exit) -> None:
            await names.via("archive", of=Archive).call(Archive.keep, exit.reason)
            await self.stream.send_all(b"goodbye")

    class SigtermInTheMiddle(AServerThatStops):
        async def serve_tcp(self, handle: Callable[[trio.SocketStream], Any], port: int) -> None:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            trio.lowlevel.spawn_system_task(self.be_a_client, listeners[0])
            await trio.serve_listeners(handle, listeners)

        async def be_a_client(self, listener: trio.SocketListener) -> None:
            async with await trio.testing.open_stream_to_socket_listener(listener) as client:
                self.read.append(await client.receive_some())
                signal.raise_signal(signal.SIGTERM)
                self.read += [chunk async for chunk in client]

    server = SigtermInTheMiddle()
    program.run(
        trio=server,
        trioreg=trioreg,
        math=math,
        ChildSpec=ChildSpec,
        DynamicSupervisor=DynamicSupervisor,
        names=names,
        Archive=Archive,
        Session=Archiving,
    )
    assert kept == ["shutdown"]
    assert server.read == [b"hello", b"goodbye"]


class Store(Actor):
    """What the page on systemd has, with a store that may hang."""

    def __init__(self, hangs: bool) -> None:
        self.hangs = hangs

    async def ping(self) -> None:
        await trio.sleep(60 if self.hangs else 1)


@pytest.mark.parametrize(
    ("hangs", "status", "body"), [(False, 200, b"ok\n"), (True, 503, b"the store does not answer\n")]
)
@fragment("docs/how-to/systemd-and-containers.md", "async def health(request: Request) -> Response:")
async def test_a_health_check_finds_a_store_that_hangs(
    autojump_clock: MockClock, hangs: bool, status: int, body: bytes, program: Block
) -> None:
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        store = await supervisor.start_child(Store, hangs)
        page = program.run(
            trio=trio, Request=Request, Response=Response, PlainTextResponse=PlainTextResponse, store=store, Store=Store
        )
        answer = await cast("Callable[[None], Any]", page["health"])(None)
        assert (answer.status_code, answer.body) == (status, body)
        store.kill()


# The observer


@fragment("docs/observer.md", "from functools import partial")
async def test_an_observer_in_a_nursery_answers(monkeypatch: pytest.MonkeyPatch, program: Block) -> None:
    serve = observer.serve

    async def serve_and_be_asked(bind: str, *, task_status: trio.TaskStatus[str]) -> None:
        assert bind == "127.0.0.1:4001"
        async with trio.open_nursery() as nursery:
            url: str = await nursery.start(partial(serve, "127.0.0.1:0"))
            task_status.started(url)
            async with httpx.AsyncClient(follow_redirects=True) as client:
                assert "<title>" in (await client.get(url)).text
            nursery.cancel_scope.cancel()

    monkeypatch.setattr(observer, "serve", serve_and_be_asked)
    seen = await program.run_in_function(trio=trio)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=\S+", cast("dict[str, str]", seen)["url"])


async def plain(scope: Any, receive: Any, send: Any) -> None:
    """An application of your own."""
    await PlainTextResponse("yours")(scope, receive, send)


MOUNTED = [
    shown("docs/observer.md", "from starlette.applications import Starlette"),
    shown("docs/observer.md", "from hypercorn.middleware.dispatcher import TrioDispatcherMiddleware"),
]


@pytest.mark.parametrize("program", MOUNTED, ids=["starlette", "dispatcher"])
async def test_an_observer_is_under_its_prefix_beside_your_own_pages(program: Block) -> None:
    pages = observer.app()
    mounted = program.run(pages=pages, your_quart_app=plain, your_routes=[Mount("/", plain)])
    transport = httpx.ASGITransport(cast("Any", mounted["site"]))
    async with httpx.AsyncClient(transport=transport, follow_redirects=True) as client:
        assert (await client.get("http://127.0.0.1:8000/else")).text == "yours"
        assert "<title>" in (await client.get(pages.url("http://127.0.0.1:8000/observer"))).text


@fragment("docs/observer.md", "with pages.while_serving():")
async def test_a_live_page_ends_when_your_server_accepts_no_more_connections(program: Block) -> None:
    def look(params: object) -> dict[str, object]:
        looked.set()
        return {"text": "x"}

    async def talk(stream: trio.SocketStream) -> None:
        async with stream:
            await client.listen(pages)

    pages, client, looked = app_of(page_of(look)), Listener(), trio.Event()
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as connections, trio.open_nursery() as server:
            serve = partial(program.run_in_function, pages=pages, talk=talk, connections=connections, trio=trio)
            server.start_soon(partial(serve, listeners=[listener]))
            async with await trio.open_tcp_stream(*listener.socket.getsockname()):
                await looked.wait()
                server.cancel_scope.cancel()
    assert client.events[-1] == ("end", {})


@fragment("docs/observer.md", "async def shutdown() -> None:")
async def test_a_live_page_ends_when_hypercorn_begins_to_shut_down(program: Block) -> None:
    pages, cancelled = app_of(page_with("x")), trio.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        config = Config()
        config.bind = [f"fd://{listener.detach()}"]
        config.graceful_timeout = math.inf  # so long it waits for requests
    headers = "".join(f"{name}: {value}\r\n" for name, value in {"host": HOST, **BEARER}.items())
    received = b""
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            names = {"pages": pages, "cancelled": cancelled, "site": pages, "config": config}
            nursery.start_soon(partial(program.run_in_function, serve=cast("Any", hypercorn.trio).serve, **names))
            async with await trio.open_tcp_stream(*address) as client:
                await client.send_all(f"GET /live/overview HTTP/1.1\r\n{headers}\r\n".encode())
                async for some in client:
                    received += some
                    if b"event: look" in received:
                        cancelled.set()
    assert b"event: end" in received


# Code that one of trioreg's tools replaces


@fragment(
    "docs/applications/accounts.md",
    "async def transfer(self, payee: int, amount: int) -> None:  # in the payer's actor",
)
async def test_two_accounts_that_pay_each_other_in_their_actors_are_a_cycle_of_calls(program: Block) -> None:
    accounts: Registry[int, None] = Registry("accounts")
    errors: list[BaseException | None] = []

    class Account(Actor):
        balance = 10

        def credit(self, amount: int) -> None:
            self.balance += amount

        async def pay(self, payee: int) -> None:
            await ready.wait()
            await transfer(self, payee, 5)

    async def pay(payer: int, payee: int) -> None:
        try:
            await accounts.via(payer, of=Account).call(Account.pay, payee)
        except ActorExited as error:
            errors.append(error.__cause__)

    transfer = cast("Callable[[Account, int, int], Any]", program.run(accounts=accounts, Account=Account)["transfer"])
    ready = trio.Event()
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        for number in (1, 2):
            await supervisor.start_child(Account, name=accounts.via(number), restart="temporary")
        async with trio.open_nursery() as payers:
            payers.start_soon(pay, 1, 2)
            payers.start_soon(pay, 2, 1)
            await wait_all_tasks_blocked()
            ready.set()
    assert any(isinstance(error, trioreg.CallCycle) for error in errors)


@fragment("docs/on-demand.md", 'name = names.via("a-17")')
async def test_the_loop_without_on_demand_repeats_only_what_was_not_sent(program: Block) -> None:
    names: Registry[str, None] = Registry("names")
    lives: list[Actor] = []
    totals: list[object] = []
    lost: list[bool] = []

    class Cart(Actor):
        mailbox_size = 1

        def __init__(self, key: str) -> None:
            lives.append(self)
            self.items = 0

        async def add(self, what: str, count: int) -> int:
            if len(lives) == 1:
                await trio.sleep_forever()
            self.items += count
            return self.items

    async def use() -> None:
        try:
            total = await program.run_in_function(
                names=names, supervisor=supervisor, Cart=Cart, ActorExited=ActorExited
            )
            totals.append(total)
        except ActorExited as error:
            lost.append(error.was_sent)

    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        async with trio.open_nursery() as users:
            for _ in range(3):  # one is handled, one is in the mailbox, and one waits for room
                users.start_soon(use)
                await wait_all_tasks_blocked()
            lives[0].ref.kill()
        await use()
    assert lost == [True, True]
    assert totals == [2, 4]
    assert len(lives) == 2


@fragment("docs/registry.md", "former = sessions.whereis(self.user)")
async def test_without_take_a_listener_sees_the_name_free_in_between(program: Block) -> None:
    owners: list[bool] = []

    def listener(event: Event[str, int]) -> None:
        owners.append(event.key in sessions)

    class Device(Actor):
        def __init__(self, user: str, device: int) -> None:
            self.user = user
            self.device = device

        async def on_start(self) -> None:
            await program.run_in_function(self=self, sessions=sessions)

    sessions: Registry[str, int] = Registry("sessions", listeners=[listener])
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        for device in (1, 2):
            ref = await supervisor.start_child(Device, "ann", device)
        assert sessions.whereis("ann") is ref
        assert owners == [True, False, True]


@fragment("docs/supervision.md", "name = names.via(user)")
async def test_without_a_limit_you_count_the_restarts_yourself(autojump_clock: MockClock, program: Block) -> None:
    names: Registry[str, None] = Registry("names")
    lives: list[str] = []

    class Mallory(Sick):
        def __init__(self, user: str) -> None:
            lives.append(user)

    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        await program.run_in_function(
            names=names, user="mallory", supervisor=supervisor, child=child, Session=Mallory, trio=trio
        )
        assert lives == ["mallory"] * 4
        assert "mallory" not in names


# Reports on programs


def words(text: str) -> str:
    """The text as one line, without what differs from run to run."""
    return " ".join(re.sub(r"for [\d.]+ seconds", "for N seconds", text).split())


REPORTS = block("docs/seeing.md", "# reports.py")

ASK_WHILE_IT_BLOCKS = """\
import os, runpy, signal, sys, threading, time

def ask(main):
    while True:
        frame = sys._current_frames()[main]
        if frame.f_code.co_name == "write" and frame.f_locals["customer"] == "ACME":
            return os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(0.001)

threading.Thread(target=ask, args=[threading.get_ident()], daemon=True).start()
runpy.run_path("reports.py", run_name="__main__")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGUSR1")
@fragment("docs/seeing.md", "The loop")
def test_a_handler_that_blocks_the_program_is_in_the_dump(tmp_path: Path, program: Block) -> None:
    code = re.sub(r"await trio\.(?=sleep\(7)", "time.", REPORTS.code)
    code = code.replace("import signal\n", "import signal\nimport time\n")
    (tmp_path / "reports.py").write_text(code, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    with running([sys.executable, "-c", ASK_WHILE_IT_BLOCKS], cwd=tmp_path, env=environment) as process:
        assert process.stderr is not None
        printed = ""
        while "The longest queues" not in printed:
            line = process.stderr.readline()
            assert line, printed
            printed += line
    loop, handlers = program.code.split("\n\n")
    assert words(loop) in words(printed)
    assert words(handlers) in words(printed)


@fragment("docs/seeing.md", "Cart #2 'a-17'  running")
def test_a_report_on_an_actor_is_printed_in_a_few_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], program: Block
) -> None:
    [code] = [each.code for each in BLOCKS if "report = trioreg.who(" in each.code and each.page == program.page]
    (tmp_path / "shop.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trio, "run", partial(trio.run, clock=MockClock(autojump_threshold=0)))
    number_actors_from_one(monkeypatch)
    monkeypatch.setattr(trioreg, "who", who := Printing(trioreg.who))
    exec(compile(code, "shop.py", "exec"), {"__name__": "__main__"})
    assert who.printed[0] == program.code


class Printing:
    """``who``, and what its reports print."""

    def __init__(self, who: Callable[[Any], object]) -> None:
        self.who = who
        self.printed: list[str] = []

    def __call__(self, actor: object) -> object:
        report = self.who(actor)
        self.printed.append(f"{report}\n")
        return report


# Other files


UNIT = shown("docs/how-to/systemd-and-containers.md", "[Service]")


def test_the_unit_has_sections_and_keys_each_once() -> None:
    unit = ConfigParser(interpolation=None)  # a key or a section that comes again is an error
    unit.read_string(UNIT.code)
    assert unit.sections() == ["Service"]
    assert float(unit["Service"]["WatchdogSec"]) > 0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no `systemd-analyze` on PATH")
def test_systemd_finds_nothing_wrong_in_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "shop.service"
    unit.write_text(UNIT.code.replace("/opt/shop/bin/python", sys.executable), encoding="utf-8")
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=SECONDS, check=False)
    assert [line for line in done.stderr.splitlines() if "shop.service" in line] == []


@fragment("docs/how-to/systemd-and-containers.md", 'ENTRYPOINT ["python", "-m", "shop"]')
def test_a_container_runs_the_command_of_the_unit(program: Block) -> None:
    instruction, command = program.code.split(" ", 1)
    [in_unit] = re.findall(r"^ExecStart=.*/(python .*)$", UNIT.code, re.M)
    assert (instruction, json.loads(command)) == ("ENTRYPOINT", in_unit.split())


[EXPECTED_ERROR] = [block for block in BLOCKS if (block.page, block.tag) == ("CONTRIBUTING.md", "python")]


@fragment("CONTRIBUTING.md", EXPECTED_ERROR.start)
def test_the_expected_error_on_the_page_for_contributors_is_in_the_tests_of_types(program: Block) -> None:
    tests = "".join(file.read_text("utf-8") for file in (ROOT / "tests" / "typing").glob("*.py"))
    assert f"\n    {program.code}" in tests
