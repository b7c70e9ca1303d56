"""The types of explore(), replay() and chaos(): a scenario is an async function without arguments."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, assert_type

from trioreg import Actor, Registry, Supervisor
from trioreg.testing import ChaosFault, Explored, chaos, explore, replay

if TYPE_CHECKING:

    async def scenario() -> int:
        return 1

    async def with_argument(seconds: float) -> None:
        pass

    def not_async() -> None:
        pass

    def explores(supervisor: Supervisor, names: Registry[str, None]) -> None:
        assert_type(explore(scenario), Explored)
        assert_type(explore(partial(with_argument, 3), runs=5, seed=2), Explored)
        explore(lambda: with_argument(3))
        replay(scenario, 3)
        replay(scenario, "4:1>0")

        explore(scenario())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        explore(with_argument)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        explore(not_async)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        explore(scenario, seed="4:1>0")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

        assert_type(chaos(supervisor), AbstractAsyncContextManager[Sequence[ChaosFault]])
        chaos(names.via("below", of=Supervisor), seed=1, every=2, kinds=["kill", "delay"], delay=3)

        chaos(names.via("cart", of=Actor))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        chaos(supervisor, kinds=["explode"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
