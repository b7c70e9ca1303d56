"""Copies and pickles of every public object: what stands for a running thing is itself when it is copied, and says why
it can't be pickled. Facts are equal to their copies."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
from collections.abc import Callable
from typing import Any, cast

import attrs
import pytest
from support.errors import Bang
from support.supervisors import supervised, supervising
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import (
    ANY,
    Actor,
    ActorExited,
    ActorRef,
    ActorReport,
    ActorStatistics,
    ActorTask,
    Address,
    Agent,
    AlreadyRegistered,
    Backoff,
    CallCycle,
    ChildCounts,
    ChildInfo,
    ChildNotEnded,
    ChildNotFound,
    ChildSpec,
    CrashedTooOften,
    Done,
    DynamicSupervisor,
    Entry,
    Exit,
    Failed,
    Feed,
    FeedStatistics,
    Function,
    HandlerTimeout,
    Instrument,
    Is,
    MailboxFull,
    MaxChildren,
    Message,
    NoReply,
    NotRegistered,
    NotRunning,
    OnDemand,
    OnDemandSupervisor,
    Overflow,
    Owner,
    Partitions,
    PartitionSupervisor,
    Pool,
    PoolFull,
    PoolStatistics,
    PoolSupervisor,
    PubSub,
    Registered,
    Registry,
    RegistryInfo,
    Reply,
    RestartLimit,
    RestartLimitExceeded,
    Supervisor,
    Table,
    TaskOwner,
    TaskStream,
    Timer,
    Tree,
    TreeChild,
    TreeSupervisor,
    TrioregError,
    Unregistered,
    Var,
    Via,
    Waiting,
    Wildcard,
    open_dynamic_supervisor,
    open_on_demand,
    open_partition_supervisor,
    open_pool,
    open_stream,
    open_supervisor,
    who,
)
from trioreg._runtime import Instruments


class NeedsTwo(Exception):
    """As many errors are: Python can't copy it."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first}, {second}")


class Keeper(Actor):
    def __init__(self) -> None:
        self.timer = self.send_after(1_000_000, "ring")
        self.notes = ["note"]

    def copies(self) -> list[Keeper]:
        return [copy.copy(self), copy.deepcopy(self), pickle.loads(pickle.dumps(Plain.of(self)))]

    def ask(self) -> Timer:
        return self.timer


class Plain(Actor):
    def __init__(self) -> None:
        self.notes = ["note"]

    @staticmethod
    def of(keeper: Keeper) -> Plain:
        plain = Plain()
        plain.notes = keeper.notes
        return plain

    def copy_yourself(self) -> list[Plain]:
        return [copy.copy(self), copy.deepcopy(self), pickle.loads(pickle.dumps(self))]


async def double(number: int) -> int:
    return 2 * number


@attrs.frozen
class World:
    """What runs while a test runs."""

    ref: ActorRef[Keeper]
    timer: Timer
    supervisor: Supervisor
    stream: TaskStream[int]


class Keyed(Actor):
    def __init__(self, key: str) -> None:
        self.key = key


names: Registry[str, Any] = Registry("names")
topics: PubSub[str, str] = PubSub("topics")
keyed: OnDemand[str, Keyed] = OnDemand("keyed", Keyed)
pooled: Pool[Keeper] = Pool("pooled", Keeper, size=2)
EXAMPLES: dict[Any, Callable[[World], object]] = {
    ActorExited: lambda w: ActorExited(w.ref, Exit("crashed", NeedsTwo(1, 2)), was_sent=False),
    ActorRef: lambda w: w.ref,
    ActorReport: lambda w: who(w.ref),
    ActorStatistics: lambda w: w.ref.statistics(),
    ActorTask: lambda w: who(w.ref).tasks[0],
    Agent: lambda _: Agent[int](int),
    Address: lambda _: names.via("key", wait=True),
    AlreadyRegistered: lambda w: AlreadyRegistered("names", "key", w.ref, 5),
    Backoff: lambda _: Backoff(initial=3),
    CallCycle: lambda w: CallCycle([w.ref, w.ref], ["a", "a"]),
    ChildCounts: lambda w: w.supervisor.count_children(),
    ChildInfo: lambda w: w.supervisor.which_children()[0],
    ChildNotEnded: lambda w: ChildNotEnded("names", w.ref, "running"),
    ChildNotFound: lambda w: ChildNotFound("names", w.ref),
    ChildSpec: lambda _: ChildSpec(Keeper, id="a", backoff=Backoff(), limit=RestartLimit()),
    Done: lambda _: Done("item", ["value"]),
    DynamicSupervisor: lambda _: DynamicSupervisor(),
    Entry: lambda w: Entry(w.ref, ["value"]),
    Tree: lambda _: trioreg.tree(),
    TreeChild: lambda _: trioreg.tree().supervisors[0].children[0],
    TreeSupervisor: lambda _: trioreg.tree().supervisors[0],
    RegistryInfo: lambda _: (names.register("a key"), trioreg.registries()[0])[1],
    Exit: lambda _: Exit("crashed", NeedsTwo(1, 2)),
    Feed: lambda _: names.watch(initial=True).__enter__(),
    FeedStatistics: lambda _: names.watch().__enter__().statistics(),
    Failed: lambda _: Failed("item", NeedsTwo(1, 2)),
    Function: lambda _: Function,
    Is: lambda w: Is(w.ref),
    HandlerTimeout: lambda w: HandlerTimeout(w.ref, "Keeper.keep", 5, []),
    MailboxFull: lambda w: MailboxFull(w.ref, 5),
    Message: lambda w: Message(Instruments(Message), "cast", w.ref, "Keeper.ask", (), {}),
    MaxChildren: lambda _: MaxChildren("supervisor", 5),
    NoReply: lambda w: NoReply(w.ref),
    NotRegistered: lambda w: NotRegistered("names", "key", w.ref),
    NotRunning: lambda _: NotRunning("supervisor"),
    OnDemand: lambda _: keyed,
    OnDemandSupervisor: lambda _: OnDemandSupervisor(keyed),
    Overflow: lambda _: Overflow(5),
    Owner: lambda _: names.register("task"),
    PartitionSupervisor: lambda _: PartitionSupervisor(2, Keeper),
    Partitions: lambda _: Partitions[Keeper]("partitions", 2),
    Pool: lambda _: pooled,
    PoolFull: lambda _: PoolFull("pool", 5),
    PoolStatistics: lambda _: PoolStatistics(2, 1, 1, 0, 0.0, 3, 1.5, 1.0, 0),
    PoolSupervisor: lambda _: PoolSupervisor(pooled),
    PubSub: lambda _: topics,
    Registered: lambda w: Registered("names", "key", w.ref, ["value"]),
    Registry: lambda _: names,
    Reply: lambda _: Reply[int](),
    RestartLimit: lambda _: RestartLimit(3, 60),
    CrashedTooOften: lambda _: CrashedTooOften("carts", "a", 3, 5.0, 1.5),
    RestartLimitExceeded: lambda _: RestartLimitExceeded("supervisor", "child", 3, 5.0),
    Supervisor: lambda w: w.supervisor,
    Table: lambda _: names.tables()[0],
    TaskOwner: lambda _: names.register("another"),
    TaskStream: lambda w: w.stream,
    Timer: lambda w: w.timer,
    TrioregError: lambda _: TrioregError("words"),
    Unregistered: lambda w: Unregistered("names", "key", w.ref, 5, Exit("crashed", NeedsTwo(1, 2))),
    Var: lambda _: Var("x"),
    Via: lambda _: names.via("key", 5),
    Waiting: lambda w: Waiting("call", "call Keeper.ask", w.ref),
    Wildcard: lambda _: Wildcard("nyse.*"),
    # Not classes, and what only a block or a key gives.
    "ANY": lambda _: ANY,
    "address on demand": lambda _: keyed.via("key"),
    "address of a partition": lambda _: Partitions[Keeper]("partitions", 2).via("key"),
    "waiting address of a partition": lambda _: Partitions[Keeper]("partitions", 2).via("key", wait=True),
    "exit with a value": lambda _: Exit("normal", value=["value"]),
    "hold": lambda _: names.hold("held"),
    "lock": lambda _: names.lock("locked"),
}

IDENTITIES = {
    Message,
    RegistryInfo,
    Tree,
    TreeChild,
    TreeSupervisor,
    ActorRef,
    Address,
    DynamicSupervisor,
    OnDemand,
    OnDemandSupervisor,
    Feed,
    Owner,
    PartitionSupervisor,
    Partitions,
    Pool,
    PoolSupervisor,
    PubSub,
    Registry,
    Reply,
    Supervisor,
    TaskOwner,
    TaskStream,
    Timer,
    Via,
    "address on demand",
    "address of a partition",
    "waiting address of a partition",
    "hold",
    "lock",
}
"""What stands for something that runs, or for a place in this process."""


def is_equal(one: object, other: object) -> bool:
    if isinstance(one, BaseException):
        return type(one) is type(other) and str(one) == str(other)
    if isinstance(one, Actor):
        return type(one) is type(other) and vars(one) == vars(other)
    return one == other


def test_every_public_class_has_an_example() -> None:
    public = {value for name in trioreg.__all__ if isinstance(value := getattr(trioreg, name), type)}
    assert public - {Actor, Instrument} == {key for key in EXAMPLES if isinstance(key, type)}


@pytest.mark.parametrize("which", EXAMPLES, ids=lambda which: getattr(which, "__name__", which))
async def test_a_copy_is_the_same_or_equal_and_a_pickle_is_equal_or_refused_in_one_sentence(
    which: Any, autojump_clock: MockClock
) -> None:
    async with supervising([ChildSpec(Keeper)]) as supervisor, open_stream(double, [1], max_concurrency=1) as stream:
        ref = cast("ActorRef[Keeper]", supervisor.which_children()[0].ref)
        example: Any = EXAMPLES[which](World(ref, await ref.call(Keeper.ask), supervisor, stream))
        async for _ in stream:
            pass
        for copied in (copy.copy(example), copy.deepcopy(example)):
            if which in IDENTITIES:
                assert copied is example
            else:
                assert is_equal(copied, example)
        # Anything around it is copied, and leads to the same.
        inside = dataclasses.asdict(Holder(example, [example]))
        assert is_equal(inside["one"], example)
        attrs.asdict(AttrsHolder(example))
        refusal = ""
        try:
            pickled = pickle.dumps(example)
        except TypeError as error:
            refusal = str(error)
        else:
            assert which not in IDENTITIES
            if NeedsTwo.__name__ not in str(pickled):  # Python can't make it again from what it pickled
                assert is_equal(pickle.loads(pickled), example)
        assert re.fullmatch(r"|<.*> can't be pickled: [^.]*", refusal)


@dataclasses.dataclass
class Holder:
    one: object
    several: list[object]


@attrs.define
class AttrsHolder:
    one: object


async def test_a_copied_reference_learns_of_the_end(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Plain, restart="temporary")
        copies = [copy.copy(ref), copy.deepcopy({"ref": [ref]})["ref"][0]]
        ref.kill()
        await wait_all_tasks_blocked()
        assert [copied.is_alive for copied in copies] == [False, False]


@pytest.mark.parametrize(
    "open_block",
    [
        open_supervisor,
        open_dynamic_supervisor,
        lambda: open_partition_supervisor(2, Keeper),
        lambda: open_on_demand(keyed),
        lambda: open_pool(pooled),
        lambda: pooled.claim(),
        lambda: open_stream(double, [1], max_concurrency=1),
        lambda: names.watch(),
        lambda: topics.subscribe("topic"),
    ],
    ids=["supervisor", "dynamic", "partitions", "on demand", "pool", "claim", "stream", "watch", "subscribe"],
)
async def test_a_block_that_is_copied_is_the_same_block(open_block: Callable[[], object]) -> None:
    block = open_block()
    assert copy.copy(block) is block
    assert copy.deepcopy(block) is block


async def test_an_error_in_a_copied_exit_is_the_error_itself_and_a_value_is_copied() -> None:
    error = Bang("boom")
    assert copy.deepcopy(Exit("crashed", error)).error is error
    assert copy.deepcopy(Failed("item", error)).error is error
    value = ["value"]
    exit = Exit("normal", value=value, has_returned=True)
    assert copy.copy(exit).value is value
    assert copy.deepcopy(exit).value is not value
    assert copy.deepcopy(exit) == exit
    assert copy.deepcopy(exit).has_returned


async def test_a_copy_of_an_actor_is_a_plain_object(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Plain)
        for copied in await ref.call(Plain.copy_yourself):
            assert vars(copied) == {"notes": ["note"]}
            with pytest.raises(RuntimeError, match="supervisor"):
                copied.stop()
        assert ref.is_alive


def test_a_spec_that_was_pickled_is_checked_and_complete() -> None:
    spec = ChildSpec(Plain, restart="transient", shutdown=7, backoff=Backoff(initial=3))
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert pickle.loads(pickle.dumps(spec)).kind is spec.kind


async def test_a_deep_copy_of_a_spec_has_arguments_of_its_own(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Plain)
        log: list[str] = []
        spec = copy.deepcopy(ChildSpec(Plain, (log, ref), name=names.via("copied")))
        assert spec.args == (log, ref)
        assert spec.args[0] is not log
        assert spec.args[1] is ref
        with pytest.raises(TypeError, match=r"^<Plain #\d+> can't be pickled: it leads to a task of this process"):
            pickle.dumps(spec)
