"""The registries that many tests are about, and Hypothesis profiles.

`ci` gives the same verdict on every run, `dev` looks further each time, `soak` is for the long runs. Choose with the
environment variable HYPOTHESIS_PROFILE.
"""

import gc
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from support.checking import watch_every_run
from support.keys import Keys
from support.observed import Steps
from support.registry_kinds import DUPLICATE_KINDS, KINDS, kind_id

from trioreg import Registry
from trioreg._observer import owner_tables, pace
from trioreg._observer.pace import Pace

# No deadline: a first example pays for imports and for Trio's start, and CI machines stall.
settings.register_profile("ci", deadline=None, derandomize=True, max_examples=60, print_blob=True)
settings.register_profile("dev", deadline=None, max_examples=300)
settings.register_profile("soak", deadline=None, database=None, max_examples=160, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_collection_finish() -> None:
    """Keep what the imports have made out of the many collections in these tests: each of them is much quicker."""
    gc.collect()
    gc.freeze()


@pytest.fixture(params=KINDS, ids=[*map(kind_id, KINDS)])
def registry(request: pytest.FixtureRequest) -> Registry[Any, Any]:
    keys, partitions = request.param
    return Registry("tested", keys=keys, partitions=partitions)


@pytest.fixture(params=[1, 4])
def names(request: pytest.FixtureRequest) -> Registry[Any, Any]:
    return Registry("names", partitions=request.param)


@pytest.fixture(params=DUPLICATE_KINDS, ids=[*map(kind_id, DUPLICATE_KINDS)])
def topics(request: pytest.FixtureRequest) -> Registry[Any, Any]:
    keys, partitions = request.param
    return Registry("topics", keys=keys, partitions=partitions)


@pytest.fixture(params=KINDS, ids=[*map(kind_id, KINDS)])
def counters(request: pytest.FixtureRequest) -> Registry[Any, Any]:
    keys, partitions = request.param
    return Registry("counters", keys=keys, partitions=partitions, totals=True)


@pytest.fixture
def no_collection() -> Iterator[None]:
    """The garbage collector runs only when the test says so."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> Iterator[None]:
    """Ctrl-C raises `KeyboardInterrupt` in each test, and in each process that a test starts.

    A shell starts its background jobs, and so perhaps these tests, with SIGINT ignored. Then a test that raises SIGINT
    fails, or passes for nothing.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def watched(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """With TRIOREG_WATCHED=1 in the environment, a checking instrument watches each test that is not `unwatched`."""
    # A fault that strikes an instrument has it removed: it would see a half of what happens.
    unwatched = request.path.name.startswith("test_inside_faults") or request.node.get_closest_marker("unwatched")
    if unwatched or not os.environ.get("TRIOREG_WATCHED"):
        yield
        return
    with watch_every_run(monkeypatch):
        yield


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """A clock for the slices of the observer's looks. What is done between two rests is counted."""
    steps = Steps()
    is_over, rest = Pace.is_over, Pace.rest

    def counted(self: Pace) -> bool:
        steps.steps += 1
        steps.since_rest += 1
        steps.most = max(steps.most, steps.since_rest)
        return is_over(self)

    async def rested(self: Pace) -> None:
        steps.since_rest = 0
        await rest(self)

    monkeypatch.setattr(pace, "perf_counter", steps)
    monkeypatch.setattr(owner_tables, "perf_counter", steps)
    monkeypatch.setattr(Pace, "is_over", counted)
    monkeypatch.setattr(Pace, "rest", rested)
    return steps
