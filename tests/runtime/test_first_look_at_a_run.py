"""The state of a Trio run is made at the first look at it. There is never a second one."""

from __future__ import annotations

import gc
import weakref

import trio

from trioreg._runtime import Run, current_run


class Garbage:
    """Looks at the run when the collector finds it, and leaves the next one behind."""

    def __init__(self, seen: list[weakref.ref[Run]]) -> None:
        self.seen = seen
        self.me = self

    def __del__(self) -> None:
        if trio.lowlevel.in_trio_run():
            self.seen.append(weakref.ref(current_run()))
            Garbage(self.seen)


def test_a_run_has_one_state_even_if_a_finalizer_looks_at_it_in_the_middle_of_the_first_look() -> None:
    seen: list[weakref.ref[Run]] = []

    async def main() -> Run:
        gc.collect()  # or the next collection may come before this is garbage, and never look at it again
        Garbage(seen)
        before = gc.get_threshold()
        gc.set_threshold(1)
        try:
            return current_run()
        finally:
            gc.set_threshold(*before)

    run = trio.run(main)
    gc.collect()
    assert {each() for each in seen} == {run}


def test_a_run_that_has_ended_does_not_follow_the_garbage_collector() -> None:
    async def main() -> None:
        current_run()
        assert len(gc.callbacks) > len(before)

    before = list(gc.callbacks)
    trio.run(main)
    assert gc.callbacks == before
