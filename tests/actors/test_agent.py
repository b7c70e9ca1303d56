"""`Agent`: a value behind a mailbox."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from support.cancellation import Cancelling, sweep_steps
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import ActorExited, Agent


async def test_an_agent_gets_and_updates_its_value() -> None:
    async with supervised() as supervisor:
        counter = await supervisor.start_child(Agent[int], lambda: 1)
        await counter.cast(Agent[int].update, lambda n: n + 1)
        assert await counter.call(Agent[int].get, lambda n: n * 10) == 20
        assert await counter.call(Agent[int].get_and_update, lambda n: (f"was {n}", n + 5)) == "was 2"
        assert await counter.call(Agent[int].get, lambda n: n) == 7


async def test_each_life_of_an_agent_begins_with_a_new_value() -> None:
    agents: trioreg.Registry[str, None] = trioreg.Registry("agents")
    async with supervised() as supervisor:
        via = agents.via("list")
        first = await supervisor.start_child(Agent[list[int]], list, name=via)
        await via.call(Agent[list[int]].get, lambda items: items.append(1))
        first.kill()
        await first.wait()
        assert await via.call(Agent[list[int]].get, len) == 0


async def test_an_agent_needs_a_function_that_makes_its_value() -> None:
    async with supervised() as supervisor:
        wrong: Any = 7
        with pytest.raises(TypeError, match=r"initial must be callable.*7"):
            await supervisor.start_child(Agent[int], wrong)


async def test_an_agent_refuses_async_functions(autojump_clock: MockClock) -> None:
    async def later(value: int) -> int:
        return value

    async with supervised() as supervisor:
        for method in (Agent[int].update, Agent[int].get_and_update):
            ref = await supervisor.start_child(Agent[int], lambda: 0, restart="temporary")
            with pytest.raises(ActorExited) as caught:
                await ref.call(method, later)  # type: ignore[arg-type]  # pyright: ignore
            assert isinstance(caught.value.__cause__, TypeError)
            assert "fn must be a sync function" in str(caught.value.__cause__)
        with pytest.raises(TypeError, match="initial must be a sync function"):
            await supervisor.start_child(Agent[Any], partial(later, 1))


@pytest.mark.parametrize("change", ["update", "cast", "get", "get_and_update"])
async def test_an_agent_operation_cancelled_at_any_checkpoint_is_done_once_or_not_at_all(
    change: str, autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        asked: list[int] = []

        def add(value: int) -> int:
            asked.append(value)
            return value + 1

        async with supervised() as supervisor:
            counter = await supervisor.start_child(Agent[int], lambda: 0)
            if change == "update":
                completed = await cancelling.run(lambda: counter.call(Agent[int].update, add))
            elif change == "cast":
                completed = await cancelling.run(lambda: counter.cast(Agent[int].update, add))
            elif change == "get":
                completed = await cancelling.run(lambda: counter.call(Agent[int].get, add))
            else:
                completed = await cancelling.run(
                    lambda: counter.call(Agent[int].get_and_update, lambda value: ("changed", add(value)))
                )
                assert not completed or cancelling.value == "changed"
            await wait_all_tasks_blocked()
            assert len(asked) in ([1] if completed else [0] if change == "cast" else [0, 1])
            value = await counter.call(Agent[int].get, lambda value: value)
            assert value == (0 if change == "get" else len(asked))

    await sweep_steps(attempt)
