"""What is made at import time begins each Trio run empty, however the last run ended.

Each case is a process of its own: when Trio has failed, Python complains loudly as it closes the coroutines.
"""

from __future__ import annotations

import sys

import pytest
from support.processes import running

PROGRAM = """
import gc, logging, signal, sys
import trio, trio.testing
import trioreg
from trioreg import Wildcard

logging.disable(logging.CRITICAL)

class Cart(trioreg.Actor):
    def __init__(self, key="none"):
        pass

    def hello(self):
        return "hello"

class Reader(trioreg.Actor):
    async def on_start(self):
        bus.join("topic", Reader.read)
        bus.join(Wildcard("a.*"), Reader.read)

    def read(self, message):
        pass

names = trioreg.Registry("names")
totals = trioreg.Registry("totals", keys="duplicate", totals=True)
carts = trioreg.OnDemand("carts", Cart)
few = trioreg.OnDemand("few", Cart, max_running=5, retire_after=10)
bus = trioreg.PubSub("bus")
pool = trioreg.Pool("pool", Cart, size=2)
parts = trioreg.Partitions("parts", 2)

def what_is_left():
    counts = {
        "names": len(names), "totals": len(totals), "total": totals.total("key"), "carts": len(carts), "few": len(few),
        "names of carts": len(carts.registry), "names of few": len(few.registry), "pool": len(pool),
        "subscriptions": len(bus._registry), "patterns": len(bus._wildcards), "retained": len(bus.retained("topic")),
        "parts": len(parts._names),
    }
    return {what: count for what, count in counts.items() if count}

async def first(end):
    async with (
        trio.open_nursery() as nursery, trioreg.open_on_demand(carts), trioreg.open_on_demand(few),
        trioreg.open_pool(pool), trioreg.open_partition_supervisor(parts, Cart),
        trioreg.open_dynamic_supervisor() as supervisor,
    ):
        await carts.via("a").call(Cart.hello)
        await few.via("a").call(Cart.hello)

        async def plain():
            names.register("plain")
            totals.register("key", 5)
            async with bus.subscribe("topic"), bus.subscribe(Wildcard("b.#")), names.lock("key"):
                await trio.sleep_forever()

        async def claim():
            async with pool.claim(), pool.claim():
                await trio.sleep_forever()

        nursery.start_soon(plain)
        nursery.start_soon(claim)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(claim)  # it waits
        nursery.start_soon(names.wait_for, "never")
        await supervisor.start_child(Reader, name=names.via("actor"))
        bus.publish_nowait("topic", 1, retain=True)
        await trio.testing.wait_all_tasks_blocked()
        await END[end](nursery)

async def crash(nursery):
    raise ValueError("a crash")

async def ctrl_c(nursery):
    signal.raise_signal(signal.SIGINT)
    await trio.sleep_forever()

async def system_task(nursery):
    trio.lowlevel.spawn_system_task(crash, None)
    await trio.sleep_forever()

async def abort_function(nursery):
    def abort(_):
        raise KeyError("a bug in an abort function")

    nursery.cancel_scope.cancel()
    await trio.lowlevel.wait_task_rescheduled(abort)

END = {"crash": crash, "ctrl_c": ctrl_c, "system_task": system_task, "abort_function": abort_function}

async def second():
    global error
    assert not what_is_left(), what_is_left()
    names.register("actor")
    totals.register("key", 1)
    async with (
        bus.subscribe("topic") as feed, trioreg.open_on_demand(carts), trioreg.open_on_demand(few),
        trioreg.open_pool(pool), trioreg.open_partition_supervisor(parts, Cart), names.lock("key"),
    ):
        await carts.via("a").call(Cart.hello)
        cart = carts.whereis("a")
        bus.publish_nowait("topic", 2)
        error = None
        gc.collect()  # now Python closes what is left of the first run
        await trio.testing.wait_all_tasks_blocked()
        assert carts.whereis("a") is cart
        for key in "ab":
            await carts.via(key).call(Cart.hello)
            await few.via(key).call(Cart.hello)
        async with pool.claim(), pool.claim():
            pass
        assert await pool.call(Cart.hello) == "hello"
        assert await feed.receive() == 2
        assert names.keys(trioreg.current_owner()) == ["actor"]
        assert totals.total("key") == 1
        done.append(True)
        scope.cancel()

done = []
error = None
try:
    trio.run(first, sys.argv[1])
except BaseException as raised:
    kind = type(raised).__name__
    if sys.argv[2] == "kept":
        error = raised  # and with its traceback the coroutines of the run
assert not what_is_left(), what_is_left()

async def main():
    global scope
    with trio.fail_after(60), trio.CancelScope() as scope:
        await second()

trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0.01))
assert done
assert not what_is_left(), what_is_left()
print(kind)
"""

ENDS = {
    "crash": "ExceptionGroup",
    "ctrl_c": "BaseExceptionGroup",
    "system_task": "TrioInternalError",
    "abort_function": "TrioInternalError",
}


@pytest.mark.parametrize("error", ["kept", "dropped"])
@pytest.mark.parametrize("end", ENDS)
def test_the_next_run_begins_empty_and_what_is_left_of_the_last_disturbs_nothing(end: str, error: str) -> None:
    with running([sys.executable, "-W", "ignore", "-c", PROGRAM, end, error]) as process:
        output, _ = process.communicate()
    assert output.splitlines()[-1:] == [ENDS[end]]
    assert process.returncode == 0
