"""The pytest plugin of trioreg: fixtures for the tests of what you build on it.

pytest loads it wherever trioreg is installed. Until a test asks for one of its fixtures, it does nothing. The fixtures
need pytest-trio; without it they say so.

A fixture notes what went wrong with its test, and `pytest_runtest_call` raises that in the end. What a fixture of
pytest-trio raises by itself comes in a group, or in two.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AbstractAsyncContextManager, nullcontext
from inspect import iscoroutinefunction
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from ._supervision import SupervisorBase, open_dynamic_supervisor, open_supervisor
from ._testing import Check, EndedEarly, judged, leaves_of, stopped_in_time, wait_until_alone

if TYPE_CHECKING:
    from ._supervision import DynamicSupervisor, Supervisor

S = TypeVar("S", bound=SupervisorBase)

FIXTURES = ("supervisor", "dynamic_supervisor")


class WatchedTest:
    """What the fixtures know of one test.

    Attributes:
        check: The check of the test, once it has begun.
        options: The options of the supervisor of each fixture.
        problems: What went wrong, apart from the error of the test itself.
        has_run: Whether pytest-trio has run the fixtures.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.check: Check
        self.options: dict[str, dict[str, Any]] = {name: {"at_end": "stop"} for name in FIXTURES}
        self.problems: list[BaseException] = []
        self.has_run = False

    def supervising(self, block: AbstractAsyncContextManager[S]) -> AbstractAsyncContextManager[S]:
        """A supervisor's block, whose end is watched."""
        return stopped_in_time(block, self.check, self.problems, self._tell)

    def _tell(self, text: str) -> None:
        """Show a text at once: what pytest captures is not seen if the test never ends."""
        capture: Any = self._config.pluginmanager.get_plugin("capturemanager")  # None with `-p no:capture`
        with nullcontext() if capture is None else capture.global_and_fixture_disabled():
            print(f"\n{text}", file=sys.stderr)


_WATCHED = pytest.StashKey[WatchedTest]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the fixtures. If pytest-trio is there, they are fixtures of pytest-trio."""
    for name in FIXTURES:
        text = f"{name}(**options): the options of open_{name}() for the fixture {name!r} of trioreg"
        config.addinivalue_line("markers", text)
    pytest_trio = sys.modules.get("pytest_trio.plugin")  # users load it under several names
    is_there = config.pluginmanager.is_registered(pytest_trio)
    trio_fixture = getattr(pytest_trio, "trio_fixture", None) if is_there else None
    fixtures = ModuleType(__name__)  # pytest looks for fixtures in classes and in modules
    vars(fixtures).update(_missing() if trio_fixture is None else _fixtures(trio_fixture))
    config.pluginmanager.register(fixtures, "trioreg fixtures")


def _fixtures(trio_fixture: Callable[[Any], Any]) -> dict[str, object]:
    return {
        "_trioreg_test": pytest.fixture(_trioreg_test),
        "_trioreg_check": trio_fixture(_trioreg_check),
        "supervisor": trio_fixture(supervisor),
        "dynamic_supervisor": trio_fixture(dynamic_supervisor),
    }


def _missing() -> dict[str, object]:
    """The fixtures without pytest-trio: each says what to install."""

    def refusal(function: Callable[..., Any]) -> object:
        def refuse() -> None:
            text = f'the fixture {function.__name__!r} needs pytest-trio: pip install "trioreg[testing]"'
            pytest.fail(text, pytrace=False)

        refuse.__doc__ = function.__doc__
        return pytest.fixture(refuse)

    return {each.__name__: refusal(each) for each in (supervisor, dynamic_supervisor)}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Raise what the fixtures have noted of a test."""
    __tracebackhide__ = True
    in_time = _WATCHED in item.stash  # if not, the test may ask for a fixture while it runs: too late
    error: BaseException | None = None
    result: object = None
    try:
        result = yield
    except BaseException as failure:
        error = failure
    if _WATCHED in item.stash:
        error = _verdict(item, error, in_time=in_time)
    if error is not None:
        __tracebackhide__ = error.__traceback__ is not None  # else pytest says that all is hidden
        try:
            raise error
        finally:
            del error  # no cycle through this frame
    return result


def _verdict(item: pytest.Item, error: BaseException | None, *, in_time: bool) -> BaseException | None:
    """What is to be raised: the error of the test, and what the fixtures have noted."""
    watched = item.stash[_WATCHED]
    if isinstance(error, pytest.skip.Exception | pytest.xfail.Exception):
        return error
    for leaf in [] if error is None else leaves_of(error):
        if isinstance(leaf, KeyboardInterrupt | pytest.exit.Exception):
            return leaf  # without the group of pytest-trio, in which it would not end pytest
    if not watched.has_run and (error is None or not in_time):
        text = (
            f"the fixture {_asked_for(item)} did not run, so nothing was checked: pytest-trio runs a fixture only if"
            " the test, or a fixture of the test, has it as an argument. @pytest.mark.usefixtures, autouse and"
            " request.getfixturevalue in the test are not enough"
        )
        watched.problems.append(AssertionError(text))
    error = judged(error, watched.problems)
    watched.problems.clear()
    if isinstance(error, EndedEarly) or (type(error) is AssertionError and error.__traceback__ is None):
        return pytest.fail.Exception(str(error), pytrace=False)  # no traceback would help
    return error


def _asked_for(item: Any) -> str:
    """The fixture that a test has asked for. A call of ``request.getfixturevalue`` leaves no trace."""
    return next((repr(name) for name in FIXTURES if name in item.fixturenames), "of trioreg")


# The fixtures


def _trioreg_test(request: pytest.FixtureRequest) -> WatchedTest:
    """Refuse a test in which a fixture of pytest-trio does not work. Return the notes on any other test."""
    item: Any = request.node
    if item.get_closest_marker("trio") is None:
        name_of_test = getattr(item, "originalname", item.name)  # a doctest has no other name
        write = "" if iscoroutinefunction(request.function) else f"write 'async def {name_of_test}', and "
        pytest.fail(
            f"the fixture {_asked_for(item)} is for async tests of pytest-trio: {write}mark {name_of_test} with"
            " @pytest.mark.trio, or set trio_mode = true in the settings of pytest",
            pytrace=False,
        )
    if getattr(request.function, "is_hypothesis_test", False):
        pytest.fail(
            f"the fixture {_asked_for(item)} is made once for a test, and hypothesis runs the test many times. Open a"
            " supervisor in the test: async with checked(), open_supervisor(at_end='stop') as supervisor: ...",
            pytrace=False,
        )
    watched = item.stash[_WATCHED] = WatchedTest(item.config)
    for each in FIXTURES:
        for marker in reversed(list(item.iter_markers(each))):  # the marker of the test comes last, and wins
            if marker.args:
                pytest.fail(f"@pytest.mark.{each} takes options by name, not {marker.args!r}", pytrace=False)
            watched.options[each] |= marker.kwargs
    return watched


async def _trioreg_check(_trioreg_test: WatchedTest) -> AsyncIterator[WatchedTest]:
    """The check of a whole test. The supervisors of the other fixtures end before it does."""
    watched = _trioreg_test
    watched.has_run = True
    watched.check = check = Check()
    leaks: list[BaseException] = []
    try:
        yield watched
        await wait_until_alone()
        leaks = check.leaks("the test")
    finally:
        check.end()
        watched.problems[:0] = check.crashes()
        watched.problems += leaks


async def supervisor(_trioreg_check: WatchedTest) -> AsyncIterator[Supervisor]:
    """A trioreg Supervisor that runs during the test: start what you test with ``await supervisor.start_child(...)``.
    At the end of the test it stops its children, the newest first. The test fails, and says why, if an actor crashes
    (also one that is restarted), unless you expect it with ``async with trioreg.testing.expect_crash(ValueError):``. It
    fails if an actor does not stop, and if an actor, a task, a name, a subscription or a claim outlives the test.

    It needs pytest-trio. ``@pytest.mark.supervisor(max_restarts=10)`` gives it options of ``open_supervisor``.
    """
    async with _trioreg_check.supervising(open_supervisor(**_trioreg_check.options["supervisor"])) as opened:
        yield opened


async def dynamic_supervisor(_trioreg_check: WatchedTest) -> AsyncIterator[DynamicSupervisor]:
    """A trioreg DynamicSupervisor that runs during the test, for children that come and go.
    At the end of the test it stops its children side by side. What fails the test is the same as for ``supervisor``.

    It needs pytest-trio. ``@pytest.mark.dynamic_supervisor(max_children=10)`` gives it options of
    ``open_dynamic_supervisor``.
    """
    options = _trioreg_check.options["dynamic_supervisor"]
    async with _trioreg_check.supervising(open_dynamic_supervisor(**options)) as opened:
        yield opened
