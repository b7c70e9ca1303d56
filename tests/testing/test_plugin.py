"""The pytest plugin: what its fixtures do at the end of a test, and the text of each failure.

The tests in `INNER` run once, in a pytest of their own. Each test here looks at what that said about one of them.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

pytest_plugins = "pytester"

INNER = """
import math
import time
from functools import partial

import pytest
import trio
from hypothesis import given, settings, strategies
from trio.testing import wait_all_tasks_blocked

from trioreg import Actor, Registry, open_supervisor
from trioreg.testing import checked, expect_crash

carts = Registry("carts")


class Cart(Actor):
    def add(self, item):
        self.items.append(item)


class Slow(Actor):
    async def on_stop(self, exit):
        await trio.sleep_forever()


class Late(Actor):
    async def on_stop(self, exit):
        await trio.sleep(3)


class Deaf(Actor):
    async def on_stop(self, exit):
        with trio.CancelScope(shield=True):
            await trio.sleep(100)


class Sour(Actor):
    async def on_stop(self, exit):
        raise OSError("sour")


class Disk(Actor):
    async def write(self, seconds):
        await trio.to_thread.run_sync(time.sleep, seconds, abandon_on_cancel=True)


class Ledger(Actor):
    def __init__(self, disk, seconds):
        self.disk, self.seconds = disk, seconds

    async def on_stop(self, exit):
        await self.disk.call(Disk.write, self.seconds)


class Keyboard(Actor):
    async def on_start(self):
        self.start_soon(partial(trio.to_thread.run_sync, time.sleep, 2, abandon_on_cancel=True))


async def start_ledger(supervisor, seconds):
    disk = await supervisor.start_child(Disk)
    await supervisor.start_child(Ledger, disk, seconds)


async def serve():
    carts.register("served")
    await trio.sleep_forever()


@pytest.fixture
async def server(nursery):
    nursery.start_soon(serve)
    yield


@pytest.fixture
async def app():
    async with open_supervisor(at_end="stop", name="app") as app:
        yield app


async def test_good(supervisor, dynamic_supervisor, autojump_clock):
    await supervisor.start_child(Cart, name=carts.via("a"))
    await dynamic_supervisor.start_child(Cart, name=carts.via("b"))


async def test_restarted(supervisor, autojump_clock):
    cart = await supervisor.start_child(Cart, name=carts.via("a"))
    await cart.cast(Cart.add, "tea")
    await wait_all_tasks_blocked()


async def test_expected(dynamic_supervisor, autojump_clock):
    cart = await dynamic_supervisor.start_child(Cart)
    async with expect_crash(AttributeError):
        await cart.call(Cart.add, "tea")


async def test_failed_too(supervisor, autojump_clock):
    cart = await supervisor.start_child(Cart)
    await cart.cast(Cart.add, "tea")
    await wait_all_tasks_blocked()
    assert 1 == 2


async def test_caller(supervisor, autojump_clock):
    cart = await supervisor.start_child(Cart)
    await cart.call(Cart.add, "tea")


async def test_gives_up(supervisor, autojump_clock):
    for number in range(4):
        cart = await supervisor.start_child(Cart, id=number)
        await cart.cast(Cart.add, "tea")
    await supervisor.start_child(Cart)


@pytest.mark.supervisor(max_restarts=10)
async def test_options(supervisor, autojump_clock):
    async with expect_crash(AttributeError) as crashes:
        for number in range(5):
            cart = await supervisor.start_child(Cart, id=number)
            await cart.cast(Cart.add, "tea")
    assert len(crashes) == 5


@pytest.mark.supervisor(10)
async def test_wrong_options(supervisor):
    pass


@pytest.mark.supervisor(max_restarts=10)
class TestOptionsOfAClass:
    @pytest.mark.supervisor(name="shop")
    async def test_in_a_class(self, supervisor):
        async with expect_crash(AttributeError) as crashes:
            for number in range(5):
                cart = await supervisor.start_child(Cart, id=number)
                await cart.cast(Cart.add, "tea")
        assert {crash.supervisor for crash in crashes} == {"shop"}


@pytest.fixture
def by_name(request):
    return request.getfixturevalue("dynamic_supervisor")


async def test_by_name(by_name, autojump_clock):
    cart = await by_name.start_child(Cart)
    await cart.cast(Cart.add, "tea")
    await wait_all_tasks_blocked()


@pytest.mark.usefixtures("supervisor")
async def test_no_argument():
    pass


async def test_both(supervisor, dynamic_supervisor, autojump_clock):
    for each in (supervisor, dynamic_supervisor):
        await each.start_child(Sour)


@pytest.mark.supervisor(at_end="wait")
async def test_stays(supervisor, autojump_clock):
    await supervisor.start_child(Cart)


async def test_slow(supervisor, autojump_clock):
    await supervisor.start_child(Cart)
    await supervisor.start_child(Slow, name=carts.via("slow"))


async def test_slow_without_limit(supervisor, autojump_clock):
    await supervisor.start_child(Slow, shutdown=math.inf)


async def test_clock_that_stands(dynamic_supervisor, mock_clock):
    await dynamic_supervisor.start_child(Slow)


async def test_thread(supervisor, autojump_clock):
    await start_ledger(supervisor, 0.05)


async def test_thread_and_clock_that_stands(supervisor, mock_clock):
    await start_ledger(supervisor, 0.5)


async def test_thread_that_hangs(supervisor, autojump_clock, monkeypatch):
    monkeypatch.setattr("trioreg._testing.stopping.PATIENCE_WITH_THREADS", 0.05)
    await start_ledger(supervisor, 2)


async def test_thread_that_is_no_work(supervisor, autojump_clock, monkeypatch):
    monkeypatch.setattr("trioreg._testing.stopping.PATIENCE_WITH_THREADS", math.inf)
    await supervisor.start_child(Keyboard)
    await supervisor.start_child(Late)


async def test_deaf(supervisor, autojump_clock):
    await supervisor.start_child(Deaf)


async def test_two_that_stay(supervisor, dynamic_supervisor, autojump_clock):
    for each in (supervisor, dynamic_supervisor):
        await each.start_child(Slow)


async def test_sour(supervisor, autojump_clock):
    await supervisor.start_child(Sour)


class SleepsInThread(Actor):
    async def on_stop(self, exit):
        await trio.to_thread.run_sync(trio.from_thread.run, trio.sleep, 1)


async def test_thread_that_sleeps(dynamic_supervisor, autojump_clock, monkeypatch):
    monkeypatch.setattr("trioreg._testing.stopping.PATIENCE_WITH_THREADS", math.inf)
    await dynamic_supervisor.start_child(SleepsInThread)


async def test_leak(supervisor, autojump_clock):
    trio.lowlevel.spawn_system_task(serve)
    await wait_all_tasks_blocked()


async def test_beside(supervisor, server, app, nursery, autojump_clock):
    carts.register("mine")
    nursery.start_soon(trio.sleep_forever)
    await app.start_child(Late, name=carts.via("theirs"))


def test_sync(supervisor):
    pass


@given(strategies.integers())
async def test_hypothesis(supervisor, number):
    pass


@settings(deadline=None)
@given(strategies.integers())
async def test_block_with_hypothesis(number):
    async with checked(), open_supervisor(at_end="stop") as supervisor:
        await supervisor.start_child(Cart)


async def test_ends_supervisor(supervisor):
    supervisor.stop()
    await trio.sleep_forever()


async def test_stops_supervisor_last(supervisor):
    supervisor.stop()


async def test_in_its_body(request):
    request.getfixturevalue("supervisor")


async def test_uses_it_in_its_body(request):
    await request.getfixturevalue("supervisor").start_child(Cart)


async def test_skipped(supervisor):
    pytest.skip("not today")


async def test_xfailed(supervisor):
    pytest.xfail("not yet")
"""

IS_INSTALLED = bool(entry_points(group="pytest11", name="trioreg"))
PLAIN = ["-p", "no:cacheprovider", "--color=no", "-rA", *([] if IS_INSTALLED else ["-p", "trioreg.pytest_plugin"])]


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("inner")
    (folder / "test_inner.py").write_text(INNER, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "test_inner.py", *PLAIN, "-o", "trio_mode=true", "-W", "error"]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", timeout=120, check=False)
    return done.stdout + done.stderr


def outcome(output: str, name: str) -> str:
    """The outcome of a test, and the first line of why."""
    found = re.search(rf"^(\w+) test_inner.py::{name}\b(.*)$", output, re.MULTILINE)
    assert found is not None, output
    return found[1] + found[2]


def text(output: str, name: str) -> str:
    """What pytest shows of a failed test, without the log."""
    found = re.search(rf"^_+ (?:ERROR at setup of )?{name} _+\n(.*?)^(?:___|---|===)", output, re.MULTILINE | re.DOTALL)
    assert found is not None, output
    return found[1]


PASSING = [
    "good",
    "expected",
    "options",
    "beside",
    "block_with_hypothesis",
    "stops_supervisor_last",
]


@pytest.mark.parametrize("name", PASSING)
def test_these_tests_pass(output: str, name: str) -> None:
    assert outcome(output, f"test_{name}") == "PASSED"


def test_the_marker_of_a_class_and_the_marker_of_its_test_both_count(output: str) -> None:
    assert outcome(output, "TestOptionsOfAClass::test_in_a_class") == "PASSED"


def test_a_fixture_that_another_one_asks_for_by_its_name_is_checked_too(output: str) -> None:
    assert "under dynamic supervisor crashed" in text(output, "test_by_name")


def test_a_fixture_that_pytest_trio_does_not_run_fails_the_test(output: str) -> None:
    assert text(output, "test_no_argument").startswith("the fixture 'supervisor' did not run, so nothing was checked")


def test_a_fixture_that_a_running_test_asks_for_fails_the_test(output: str) -> None:
    reason = "the fixture of trioreg did not run, so nothing was checked"
    assert text(output, "test_in_its_body").startswith(reason)
    shown = text(output, "test_uses_it_in_its_body")
    assert "'TrioFixture' object has no attribute 'start_child'" in shown
    assert reason in shown.partition("Also:")[2]


def test_a_supervisor_that_ends_before_the_test_is_the_reason_why_the_test_is_cancelled(output: str) -> None:
    shown = text(output, "test_ends_supervisor")
    assert shown.startswith("supervisor ended before the test did, so the test was cancelled")
    assert "async with open_supervisor() as ..." in shown


def test_two_crashes_come_in_a_group(output: str) -> None:
    assert text(output, "test_both").count("OSError: sour") == 2
    assert "traceback entries are hidden" not in output


def test_an_actor_that_nothing_stops_is_named_too(output: str) -> None:
    assert re.match(
        r"<Cart #\d+> did not end for 5 seconds, and was killed. Before that:\n  Cart #\d+  running\n",
        text(output, "test_stays"),
    )


def test_a_crash_fails_the_test_with_its_traceback_even_if_the_actor_was_restarted(output: str) -> None:
    shown = text(output, "test_restarted")
    assert ">   self.items.append(item)" in shown
    assert "E   AttributeError: 'Cart' object has no attribute 'items'" in shown
    note = "under supervisor crashed, and the test does not expect it. If it is to crash: async with expect_crash(Attr"
    assert re.search(rf"E   Cart #\d+ 'a' {re.escape(note)}", shown)
    assert "test_inner.py:19: AttributeError" in shown
    assert outcome(output, "test_restarted").startswith("FAILED - AttributeError: 'Cart' object has no")


def test_a_test_that_fails_by_itself_says_so_and_shows_the_crash_below(output: str) -> None:
    shown = text(output, "test_failed_too")
    assert "assert 1 == 2" in shown
    assert "Also:" in shown
    assert shown.count("AttributeError: 'Cart' object has no attribute 'items'") == 1


def test_a_crash_that_a_caller_gets_is_shown_once(output: str) -> None:
    shown = text(output, "test_caller")
    assert "direct cause" in shown
    assert "Also:" not in shown
    assert len(re.findall(r"AttributeError: 'Cart' object has no attribute 'items'$", shown, re.MULTILINE)) == 1


def test_a_supervisor_that_gives_up_is_the_error_and_not_what_follows_from_it(output: str) -> None:
    shown = text(output, "test_gives_up")
    assert "supervisor gave up: more than 3 restarts in 5 seconds, the last one of child 3" in shown
    assert "has ended: shutdown" not in shown
    assert "is not running" not in shown


def test_an_actor_that_does_not_stop_is_named_with_what_it_waits_for(output: str) -> None:
    shown = text(output, "test_slow")
    assert re.match(r"<Slow #\d+> did not stop within its 5 seconds, and was killed. Before that:\n", shown)
    for part in (
        "under          supervisor, child 'slow'",
        "names          carts 'slow'",
        "await trio.sleep_forever()",
    ):
        assert part in shown
    assert re.search(r"handling       Slow.on_stop, for [45]\.\d seconds", shown)


@pytest.mark.parametrize("name", ["slow_without_limit", "clock_that_stands", "deaf"])
def test_an_actor_that_would_never_stop_is_killed(output: str, name: str) -> None:
    assert "did not stop" in text(output, f"test_{name}")
    assert outcome(output, f"test_{name}").startswith("FAILED - Failed: <")


@pytest.mark.parametrize(
    "name", ["thread", "thread_and_clock_that_stands", "thread_that_is_no_work", "thread_that_sleeps"]
)
def test_virtual_time_stands_still_while_an_actor_that_ends_waits_for_a_thread(output: str, name: str) -> None:
    assert outcome(output, f"test_{name}") == "PASSED"


def test_a_thread_that_hangs_does_not_hold_up_the_end(output: str) -> None:
    assert "did not stop within its 5 seconds" in text(output, "test_thread_that_hangs")


def test_two_actors_that_do_not_stop_are_both_named(output: str) -> None:
    assert len(re.findall(r"<Slow #\d+> did not stop within its 5 seconds", text(output, "test_two_that_stay"))) == 2


def test_what_does_not_heed_its_kill_is_said_at_once_past_the_capture_of_pytest(output: str) -> None:
    stderr = output.rpartition("short test summary info")[2]
    assert "\ntrioreg: supervisor does not end, although all is killed:\n<Deaf #" in stderr


def test_a_crash_during_the_stop_fails_the_test(output: str) -> None:
    assert text(output, "test_sour").count("OSError: sour") == 1
    assert outcome(output, "test_sour") == "FAILED - OSError: sour"


def test_what_outlives_the_test_is_named_with_its_owner_and_where_it_stands(output: str) -> None:
    lines = text(output, "test_leak").splitlines()
    assert lines[:3] == [
        "the test is over, and this is still there:",
        "  the name 'served' in 'carts', of <task test_inner.serve>",
        "  the task test_inner.serve, which stands at",
    ]
    assert "await trio.sleep_forever()" in lines[4]


def test_a_test_that_a_fixture_does_not_suit_says_what_to_write(output: str) -> None:
    sync = "the fixture 'supervisor' is for async tests of pytest-trio: write 'async def test_sync', and mark test_sync"
    assert sync in text(output, "test_sync")
    assert "async with checked(), open_supervisor(at_end='stop') as supervisor" in text(output, "test_hypothesis")
    assert "takes options by name, not (10,)" in text(output, "test_wrong_options")


@pytest.mark.parametrize("name", ["sync", "hypothesis", "wrong_options", "restarted", "failed_too", "sour", "leak"])
def test_a_failure_does_not_show_the_code_of_the_plugin(output: str, name: str) -> None:
    assert "pytest_plugin.py" not in text(output, f"test_{name}")


def test_a_test_may_skip_and_fail_as_expected(output: str) -> None:
    assert re.search(r"^SKIPPED \[1\]", output, re.MULTILINE)
    assert re.search(r"^XFAIL test_inner.py::test_xfailed", output, re.MULTILINE)


MARKED = """
import pytest

from trioreg import Actor


@pytest.mark.trio
async def test_marked(dynamic_supervisor):
    await dynamic_supervisor.start_child(Actor)


async def test_not_marked(supervisor):
    pass


def test_plain():
    pass
"""


@pytest.fixture
def marked(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(test_inner=MARKED)
    return pytester


def test_it_works_without_trio_mode(marked: pytest.Pytester) -> None:
    output = str(marked.runpytest_inprocess(*PLAIN).stdout)
    assert outcome(output, "test_marked") == "PASSED"
    advice = "of pytest-trio: mark test_not_marked with @pytest.mark.trio, or set trio_mode = true"
    assert advice in text(output, "test_not_marked")


def test_pytest_trio_may_be_loaded_by_the_name_of_its_module(marked: pytest.Pytester) -> None:
    output = str(marked.runpytest_inprocess(*PLAIN, "-p", "no:trio", "-p", "pytest_trio.plugin").stdout)
    assert outcome(output, "test_marked") == "PASSED"


def test_without_pytest_trio_a_fixture_says_what_to_install_and_other_tests_go_on(marked: pytest.Pytester) -> None:
    output = str(marked.runpytest_inprocess(*PLAIN, "-p", "no:trio").stdout)
    assert outcome(output, "test_plain") == "PASSED"
    needs = "the fixture 'dynamic_supervisor' needs pytest-trio: pip install \"trioreg[testing]\""
    assert needs in text(output, "test_marked")
    assert "pytest_plugin.py" not in output


@pytest.mark.parametrize("without", [[], ["-p", "no:trio"]])
def test_the_list_of_fixtures_explains_each(marked: pytest.Pytester, without: list[str]) -> None:
    output = str(marked.runpytest_inprocess(*PLAIN, *without, "--fixtures").stdout)
    assert re.search(r"^supervisor -- .*\n    A trioreg Supervisor that runs during the test:", output, re.MULTILINE)
    assert re.search(r"^dynamic_supervisor -- .*\n    A trioreg DynamicSupervisor that runs", output, re.MULTILINE)
    assert "_trioreg" not in output


def test_without_the_capture_of_pytest_what_does_not_heed_its_kill_is_said_too(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_inner=INNER)
    output = pytester.runpytest_subprocess(*PLAIN, "-p", "no:capture", "-o", "trio_mode=true", "-k", "test_deaf")
    assert "\ntrioreg: supervisor does not end, although all is killed:\n<Deaf #" in str(output.stderr)
    assert outcome(str(output.stdout), "test_deaf").startswith("FAILED - Failed: <Deaf #")


INTERRUPTED = """
import signal

import pytest
import trio
from trioreg import Actor


class Cart(Actor):
    def interrupt(self):
        signal.raise_signal(signal.SIGINT)


async def test_by_ctrl_c(supervisor):
    cart = await supervisor.start_child(Cart)
    await cart.call(Cart.interrupt)


async def test_by_ctrl_c_outside_of_actors(supervisor):
    signal.raise_signal(signal.SIGINT)
    await trio.sleep_forever()


async def test_by_exit(supervisor):
    pytest.exit("enough")


async def test_after():
    pass
"""


@pytest.mark.parametrize(
    ("tests", "why"),
    [
        ("test_by_ctrl_c", "! KeyboardInterrupt !"),
        ("test_by_ctrl_c_outside_of_actors", "! KeyboardInterrupt !"),
        ("test_by_exit", "! _pytest.outcomes.Exit: enough !"),
    ],
)
def test_what_ends_pytest_in_a_sync_test_ends_it_in_a_test_with_a_fixture(
    pytester: pytest.Pytester, tests: str, why: str
) -> None:
    pytester.makepyfile(test_inner=INTERRUPTED)
    names = [f"test_inner.py::{tests}", "test_inner.py::test_after"]
    output = str(pytester.runpytest_subprocess(*PLAIN, "-o", "trio_mode=true", *names).stdout)
    assert why in output
    assert "no tests ran" in output
    assert "expect_crash" not in output


LOOP = """
from trioreg.testing import explore


async def scenario():
    while True:
        pass


def test_loop():
    explore(scenario)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there, pytest-timeout ends the whole process")
def test_pytest_timeout_ends_a_scenario_of_explore_that_has_no_checkpoint(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_inner=LOOP)
    output = str(pytester.runpytest_subprocess(*PLAIN, "-o", "timeout=0.5", timeout=30).stdout)
    assert outcome(output, "test_loop").startswith("FAILED - Failed: Timeout")


FAILING = """
import trio
import trio.testing
import trioreg
from trioreg import Actor, Registry
from trioreg.testing import Recorder, assert_empty, replay, sent


class Cart(Actor):
    def add(self, item):
        pass


async def holds_a_name():
    names = Registry("names")
    names.register("tea")
    assert_empty(names)


def test_empty():
    trio.run(holds_a_name)


def test_messages():
    Recorder(Cart).assert_messages(sent(Cart.add, "tea"))


def test_sent():
    Recorder(Cart).on(Cart.add).assert_sent("tea")


def test_none_sent():
    trio.run(sends)


async def sends():
    carts = Recorder(Cart)
    async with trioreg.open_supervisor(at_end="stop") as supervisor:
        cart = await supervisor.start_child(carts.actor)
        await cart.cast(Cart.add, "tea")
        await trio.testing.wait_all_tasks_blocked()
    carts.on(Cart.add).assert_not_sent()


async def scenario():
    raise ValueError("wrong")


def test_replay():
    replay(scenario, 0)


async def needs(argument):
    pass


def test_refused():
    replay(needs, 0)


def test_not_async():
    replay(lambda: 3, 0)
"""


def test_what_an_assertion_or_a_replay_raises_is_shown_without_the_code_of_trioreg(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_inner=FAILING)
    output = str(pytester.runpytest_inprocess(*PLAIN).stdout)
    for name in re.findall(r"def (test_\w+)", FAILING):
        shown = text(output, name)
        assert "test_inner.py:" in shown
        assert "trioreg/" not in shown
