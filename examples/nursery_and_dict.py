"""Why not a nursery and a dict? One story twice: once with a dict of tasks, and once with a registry.

python nursery_and_dict.py

James Bond is called off, and burns his papers. A new James Bond starts meanwhile. With a dict, the clean-up of the old
task removes the entry of the new one. With a registry, a name belongs to its task, and there is no clean-up to write.
"""

import argparse
import sys
from collections.abc import Awaitable, Callable, Container
from functools import partial

import trio
from ending import exit_status
from trio.testing import wait_all_tasks_blocked  # let all tasks run

from trioreg import Registry

tasks: dict[str, trio.lowlevel.Task] = {}


async def with_a_dict(name: str) -> None:
    tasks[name] = trio.lowlevel.current_task()
    try:
        await mission()
    finally:
        del tasks[name]


agents: Registry[str, None] = Registry("agents")


async def with_a_registry(name: str) -> None:
    await agents.acquire(name)  # it waits until the name is free
    await mission()


async def mission() -> None:
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(0.01)  # burn the papers


# The story, the same for both


async def story(agent: Callable[[str], Awaitable[None]], names: Container[str]) -> None:
    called_off, old_has_ended = trio.CancelScope(), trio.Event()

    async def old_agent() -> None:
        with called_off:
            await agent("James Bond")
        old_has_ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(old_agent)
        await wait_all_tasks_blocked()
        called_off.cancel()
        nursery.start_soon(agent, "James Bond")  # the new one starts at once
        await old_has_ended.wait()
        await wait_all_tasks_blocked()
        print("James Bond is at work. Is his name there?", "James Bond" in names)
        nursery.cancel_scope.cancel()  # the new one ends, too
    print("No error at the end")


async def both() -> None:
    print("With a dict")
    try:
        await story(with_a_dict, tasks)
    except* KeyError as group:
        print("An error at the end:", repr(group.exceptions[0]))
    print("With a registry")
    await story(with_a_registry, agents)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    return exit_status(partial(trio.run, both))


if __name__ == "__main__":
    sys.exit(main())
