"""`assert_empty`: it lists what is left in registries and topics, each with its owner."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trioreg import PubSub, Registry, current_owner
from trioreg.testing import assert_empty


async def test_it_lists_names_waiters_watchers_and_locks() -> None:
    agents: Registry[str, None] = Registry("agents")

    async def lock(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with agents.lock("gadget"):
            task_status.started()
            await trio.sleep_forever()

    async def wait_lock() -> None:
        async with agents.lock("gadget"):
            pass

    assert_empty(agents)
    async with trio.open_nursery() as nursery:
        agents.register("Bond")
        await nursery.start(lock, name="Q")
        nursery.start_soon(wait_lock, name="Q's helper")
        nursery.start_soon(agents.acquire, "Bond", name="Moneypenny")
        nursery.start_soon(agents.wait_for, "Mr. White", name="M")
        await wait_all_tasks_blocked()
        with agents.watch("Bond"), agents.watch(), pytest.raises(AssertionError) as caught:
            assert_empty(agents)
        nursery.cancel_scope.cancel()
    assert str(caught.value).splitlines() == [
        "registry 'agents' is not empty:",
        f"  name 'Bond' of {current_owner()!r}",
        "  1 task in acquire('Bond'): task Moneypenny",
        "  1 task in wait_for('Mr. White'): task M",
        "  1 watcher of 'Bond'",
        "  1 watcher of all names",
        "  lock('gadget') of task Q, and 1 task waiting for it",
    ]
    agents.unregister("Bond")
    assert_empty(agents)


async def test_it_lists_subscriptions_and_the_many_are_cut() -> None:
    ticks: PubSub[int, str] = PubSub("ticks")
    assert_empty(ticks)
    async with ticks.subscribe(5):
        with pytest.raises(AssertionError) as caught:
            assert_empty(ticks)
        assert str(caught.value) == f"PubSub 'ticks' is not empty:\n  subscription to 5 of {current_owner()!r}"
    assert_empty(ticks)
    many: Registry[int, None] = Registry("many")
    for number in range(25):
        many.register(number)
    with pytest.raises(AssertionError, match=r"name 19 of .*\n  \.\.\. and 5 more$"):
        assert_empty(many)


async def test_without_arguments_it_looks_at_every_registry_of_the_run() -> None:
    assert_empty()
    agents: Registry[str, None] = Registry("agents")
    with agents.hold("Bond"), pytest.raises(AssertionError, match="registry 'agents' is not empty"):
        assert_empty()
    assert_empty()


def test_a_wrong_argument_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"registries must be a Registry or a PubSub each, not \{\}"):
        assert_empty({})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(RuntimeError):
        assert_empty()
