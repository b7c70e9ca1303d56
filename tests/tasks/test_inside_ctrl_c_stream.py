"""Tests the inside: Ctrl-C at each line of a stream's block."""

from __future__ import annotations

import pytest
import trio
from support.errors import Bang
from support.inside import assert_nothing_left_behind
from support.interrupts import interrupted_at_each_line

from trioreg import Registry, open_stream


@pytest.mark.usefixtures("interruptible")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")  # it was made, and then Ctrl-C came
@pytest.mark.parametrize("ending", ["done", "break", "error"])
def test_ctrl_c_at_any_line_of_a_stream_leaves_nothing_behind(ending: str) -> None:
    names: Registry[int, None] = Registry("names")

    async def work(item: int) -> int:
        names.register(item)
        if item:
            await trio.sleep_forever()
        return item

    async def main() -> None:
        names.register(-1)
        async with open_stream(work, [0] if ending == "done" else [0, 1], max_concurrency=2) as results:
            async for _ in results:
                if ending == "break":
                    break
                if ending == "error":
                    raise Bang

    for place, errors in interrupted_at_each_line(main, "open_stream.py", "stream.py"):
        assert errors <= {KeyboardInterrupt, Bang}, place
        assert_nothing_left_behind(names)


async def test_the_block_of_a_stream_is_entered_once() -> None:
    block = open_stream(trio.sleep, [0], max_concurrency=1)
    async with block:
        pass
    with pytest.raises(RuntimeError, match="open another one"):
        await block.__aenter__()
