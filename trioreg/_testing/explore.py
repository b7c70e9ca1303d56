"""`explore` and `replay`: find the order of tasks in which a program fails, and take it again.

One run is in `one_run.py`, schedules and seeds are in `schedule.py`, and `shrink.py` makes a failure small.
"""

from __future__ import annotations

import inspect
import os
import sysconfig
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

import attrs
import trio

from .._runtime import ActorExited, counted, flat, require_count, shown_safely
from .one_run import Scenario, Stuck, run_once
from .schedule import Move, moved, moves_of, numbered, schedule_of, seed_of
from .shrink import shrink
from .trace import Trace

if TYPE_CHECKING:
    from .one_run import Ended
    from .schedule import Schedule


class ScheduleFailed(AssertionError):
    """A scenario of `explore` fails under some schedule. The error of the scenario is the ``__cause__``.

    Attributes:
        seed: What `replay` takes to repeat the failure.
        runs: How many schedules were tried, this one included.
    """

    seed: int | str
    runs: int


@attrs.frozen
class Explored:
    """What `explore` has done when no schedule fails.

    Attributes:
        runs: How many runs there were.
        schedules: How many different orders of tasks these have had.
        most_rounds: In how many rounds of Trio's scheduler there was a choice, in the longest run.
    """

    runs: int
    schedules: int
    most_rounds: int


def explore(scenario: Scenario, *, runs: int = 1000, seed: int = 0) -> Explored:
    """Run the same scenario under many schedules, in virtual time, until one fails.

    ::

        async def scenario():
            async with trioreg.open_dynamic_supervisor() as supervisor:
                shop = await supervisor.start_child(Shop, 1)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(buy, shop)
                    nursery.start_soon(buy, shop)

        def test_two_buyers_never_get_the_same_ticket():
            explore(scenario)

    Trio runs its tasks in rounds: each task that can run takes one step, in any order. A test sees one order or
    two. This takes a different order each time, and only orders that Trio could take. The program needs no change.

    A scenario fails if an exception leaves it, if it blocks for ever, or if it has no end. Then this finds the
    smallest change of the order that still fails. The error has a seed: `replay` takes it, and repeats that run.
    Ctrl-C, a skip of pytest's and ``hypothesis.assume`` are no failures: they end `explore`.

    Time is virtual: a sleep takes no time. A run waits for threads, and a while for sockets; such a run may differ
    from the next one with the same seed. ``random`` gives the same numbers in each run. The garbage collector is
    off during a run. The same program must do the same thing each time: if two runs under one schedule differ, this
    warns. A loop without a checkpoint is not interrupted.

    Not async: call it from a plain function, outside of Trio. It needs no pytest. The cost: the runs, and some
    0.6 ms for each.

    Args:
        scenario: An async function without arguments. It makes all that it needs.
        runs: How many schedules to try, at least 1.
        seed: The number of the first schedule. The others have the numbers after it. To go on where a search has
            ended, add its ``runs``.

    Returns:
        How many runs and how many different schedules there were, if none has failed.

    Raises:
        ScheduleFailed: The scenario fails. It is an `AssertionError`; its ``__cause__`` is the error of the scenario.
        RuntimeError: You are inside of a Trio run, or another thread explores.
        TypeError, ValueError: An argument is not what is said above.
    """
    __tracebackhide__ = True  # pytest shows the scenario, and not what is in here
    _require_scenario("explore", scenario)
    require_count("runs", runs, 1)
    require_count("seed", seed, 0)
    marks: set[int] = set()
    most_rounds = 0
    for tried in range(1, runs + 1):
        number = seed + tried - 1
        ended = run_once(scenario, numbered(number))
        marks.add(ended.mark)
        most_rounds = max(most_rounds, ended.rounds)
        if ended.error is not None:
            raise _failure(scenario, number, tried, ended) from ended.error
        if tried == 1:
            _warn_if_it_differs(scenario, numbered(number), ended)
    return Explored(runs, len(marks), most_rounds)


def replay(scenario: Scenario, seed: int | str) -> None:
    """Run a scenario once, under the schedule of a seed that `explore` has shown, in virtual time.

    ::

        def test_the_order_that_failed():
            replay(scenario, "4:1>0")

    The scenario fails as it did: its own error leaves this, with a note that shows the order. So a debugger stops
    where it was raised. If the scenario does not fail any more, this returns. Not async and not a checkpoint, as
    `explore`. The cost: one run.

    A seed is good for the same program with the same versions of Python, Trio and trioreg: it says at which rounds of
    the scheduler the order differs, and these move if the program changes. Keep the scenario as a test, and not only
    its seed.

    Args:
        scenario: The async function that `explore` had.
        seed: A seed from the error of `explore`; or a number, for the schedule with that number.

    Raises:
        Stuck: The scenario does not end.
        RuntimeError: As `explore`.
        TypeError, ValueError: An argument is not what is said above.
        Exception: What leaves the scenario.
    """
    __tracebackhide__ = True
    _require_scenario("replay", scenario)
    schedule = schedule_of(seed)
    trace = Trace()
    ended = run_once(scenario, schedule, look=trace.look)
    if ended.error is not None:
        ended.error.add_note(f"replay with seed {seed!r}:\n{trace}")
        raise ended.error


def _require_scenario(function: str, scenario: object) -> None:
    __tracebackhide__ = True
    what = "scenario must be an async function without arguments"
    if inspect.iscoroutine(scenario):
        scenario.close()  # else Python warns that it has not been awaited
        raise TypeError(f"{what}, not a coroutine: write {function}({scenario.__name__})")
    if not callable(scenario):
        raise TypeError(f"{what}, not {shown_safely(scenario)}")
    try:
        signature = inspect.signature(scenario)
    except (TypeError, ValueError):
        signature = inspect.Signature()  # there is none to look at: let it run
    try:
        signature.bind()
    except TypeError as error:
        raise TypeError(
            f"{what}, but {_name_of(scenario)}() is {error}. Make what it needs in the scenario, or pass that with "
            "functools.partial"
        ) from None
    if trio.lowlevel.in_trio_run():
        raise RuntimeError(
            f"{function}() starts Trio runs of its own, so it can't be called inside of one: call it from a plain "
            "function, as in `def test_...():`, not `async def`"
        )


# What follows from a failure


def _failure(scenario: Scenario, number: int, tried: int, ended: Ended) -> ScheduleFailed:
    """The error that shows a failure, as small as it can be made."""
    kind = _kind_of(ended.error)
    again = run_once(scenario, numbered(number), keeps=True)
    if _kind_of(again.error) != kind:
        return _not_repeated(number, tried, ended, again)

    def fails(moves: list[Move]) -> bool:
        return _kind_of(run_once(scenario, moved(moves)).error) == kind

    moves = shrink([move for key, order in again.orders.items() for move in moves_of(key, order)], fails)
    seed: int | str
    if len(moves) <= _MOST_MOVES:
        seed, schedule, trace = seed_of(moves), moved(moves), Trace(moves)
    else:
        seed, schedule, trace = number, numbered(number), Trace()
    last = run_once(scenario, schedule, look=trace.look)
    if _kind_of(last.error) != kind:
        return _not_repeated(number, tried, ended, last)
    error = _error_of(seed, tried, last.error or ended.error)
    error.args = (f"{error}:\n{trace}\nTo repeat it: replay({_name_of(scenario)}, {error.seed!r})",)
    if last.met_outside:
        error.args = (f"{error}\n{_OUTSIDE}",)
    return error


_MOST_MOVES = 100
"""With more moves than that, the number of the schedule is the better seed: a run without an end may keep a million."""

_OUTSIDE = "The scenario has waited for a thread or a socket, which may come at another moment the next time."


def _not_repeated(number: int, tried: int, ended: Ended, again: Ended) -> ScheduleFailed:
    error = _error_of(number, tried, ended.error)
    then = "did not fail" if again.error is None else f"failed with {_shown(again.error)}"
    error.args = (
        f"{error}.\nThis can't be repeated: the next run under the same schedule {then}. What is not the same in "
        "each run? Such are threads, sockets, real time, the order of a set, and what an earlier run has left in a "
        "global variable.",
    )
    return error


def _error_of(seed: int | str, tried: int, error: BaseException | None) -> ScheduleFailed:
    failed = ScheduleFailed(f"{_shown(error)}\nFound in run {tried}, with seed {seed!r}")
    failed.seed, failed.runs = seed, tried
    return failed


def _shown(error: BaseException | None) -> str:
    """The errors in an error, on a line each. A report of what is blocked has more lines."""
    leaves = [] if error is None else flat([error])
    texts = list(dict.fromkeys(map(_text_of, leaves)))  # several callers may get the same error
    if len(texts) > 3:
        texts[3:] = [f"and {counted(len(texts) - 3, 'more error')}"]
    return "\n".join(texts)


def _text_of(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception as failure:
        text = f"its text raises {type(failure).__name__}"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


_Line: TypeAlias = tuple[str, int]
_Origin: TypeAlias = tuple[str, _Line, _Line]

_TRIOREG = os.path.dirname(os.path.dirname(__file__))
_LIBRARIES = (
    _TRIOREG + os.sep,
    *(sysconfig.get_path(name) + os.sep for name in ("stdlib", "purelib", "platlib")),
)


def _kind_of(error: BaseException | None) -> tuple[_Origin, ...]:
    """What two failures have in common if they are the same one: the classes of their errors, and the lines that have
    raised them. The texts do not count: a number in a text may differ in each run.
    """
    return () if error is None else tuple(sorted({_origin_of(leaf) for leaf in _leaves(error)}))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in an error. In place of an `ActorExited`, which the same line of trioreg always raises, the crash."""
    for leaf in flat([error]):
        crash = leaf.exit.error if isinstance(leaf, ActorExited) else None
        if crash is None:
            yield leaf
        else:
            yield from _leaves(crash)


def _origin_of(error: BaseException) -> _Origin:
    """The class of an error, the line that has raised it, and the last line of the user's code on the way there."""
    place: _Line = ("", 0)
    users: _Line = ("", 0)
    traceback = None if isinstance(error, Stuck) else error.__traceback__
    while traceback is not None:
        place = traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
        if not place[0].startswith(_LIBRARIES):
            users = place
        traceback = traceback.tb_next
    return type(error).__qualname__, place, users


def _name_of(scenario: object) -> str:
    name = getattr(scenario, "__name__", "scenario")
    return name if name.isidentifier() else "scenario"  # a lambda has no name to type


def _warn_if_it_differs(scenario: Scenario, schedule: Schedule, first: Ended) -> None:
    """Say it if a schedule does not repeat. The first run may differ: it may have filled a cache. Two more must not."""
    if run_once(scenario, schedule).mark == first.mark:
        return
    if run_once(scenario, schedule).mark == run_once(scenario, schedule).mark:
        return
    warnings.warn(
        "the scenario of explore() does not do the same in each run: two runs under the same schedule differ, so a "
        "seed may not repeat its failure. Look for threads, sockets, real time, and the order of a set",
        RuntimeWarning,
        stacklevel=3,
    )
