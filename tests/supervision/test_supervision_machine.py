"""Supervision against a plain model of OTP's rules: random trees, and random crashes, kills, stops and starts at random
virtual times; and outer cancellations at each step of whatever goes on.

A `Tree` and its `Step`s are data: what hypothesis finds, it shrinks. The `Model` of the tree is told each step and says
at once what comes of it: who lives, who was restarted how often, who gives up, and what the children write into their
journal when they start and stop, in which order. Then the step is taken, and all of that is compared.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any, Literal, cast

import attrs
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.errors import Bang, leaves
from trio.lowlevel import Task
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    Backoff,
    ChildNotEnded,
    ChildSpec,
    Exit,
    Registry,
    RestartLimitExceeded,
    Supervisor,
    open_supervisor,
)
from trioreg._supervision.child_spec import Restart
from trioreg._supervision.strategy import AutoShutdown, Strategy

STRATEGIES: list[Strategy] = ["one_for_one", "one_for_all", "rest_for_one"]

Operation = Literal["crash", "kill", "cancel", "stop", "storm", "terminate", "restart", "delete", "start", "fail"]


EXAMPLES = 5 * cast("settings", settings.default).max_examples
"""More than elsewhere: most of what can go wrong takes several steps that have to do with one another."""


# The program


@attrs.frozen
class Node:
    """A child: a worker, or a supervisor where there is a tree below it."""

    label: str
    restart: Restart = "permanent"
    below: Tree | None = None
    significant: bool = False
    has_name: bool = False
    is_cut_off: bool = False
    initial: float | None = None

    @property
    def backoff(self) -> Backoff | None:
        return None if self.initial is None else Backoff(initial=self.initial, maximum=3 * self.initial)


@attrs.frozen
class Tree:
    """A supervisor."""

    nodes: tuple[Node, ...]
    strategy: Strategy = "one_for_one"
    max_restarts: int = 2
    max_seconds: float = 4.21
    auto_shutdown: AutoShutdown = "never"


@attrs.frozen
class Step:
    """What is done, after so many seconds, to which: numbers into what there is then."""

    operation: Operation
    which: int = 0
    other: int = 0
    pause: float = 0


@attrs.define
class Labels:
    """Makes nodes that are told apart, and never wait for the same time."""

    count: int = 0

    def next(self) -> tuple[str, float]:
        self.count += 1
        return f"{self.count}", 1 + self.count * 0.0137


@st.composite
def trees(draw: st.DrawFn, depth: int, labels: Labels | None = None) -> Tree:
    labels = labels or Labels()
    auto_shutdown: AutoShutdown = draw(
        st.sampled_from(["never", "never", "never", "any_significant", "all_significant"])
    )
    nodes: list[Node] = []
    for _ in range(draw(st.integers(2, 3))):
        label, initial = labels.next()
        restart: Restart = draw(st.sampled_from(["permanent", "permanent", "transient", "temporary"]))
        nodes.append(
            Node(
                label,
                restart,
                draw(trees(depth - 1, labels)) if depth > 1 and draw(st.booleans()) else None,
                restart != "permanent" and auto_shutdown != "never" and draw(st.booleans()),
                draw(st.booleans()),
                draw(st.sampled_from([False, False, True])),
                draw(st.sampled_from([None, None, initial])),
            )
        )
    return Tree(
        tuple(nodes),
        draw(st.sampled_from(STRATEGIES)),
        draw(st.sampled_from([0, 1, 2, 3, 5, 100])),
        draw(st.sampled_from([4.21, 1000.21])),
        auto_shutdown,
    )


steps = st.builds(
    Step,
    st.sampled_from(
        ["crash"] * 4
        + ["fail", "kill", "storm"] * 3
        + ["cancel", "stop", "terminate", "terminate", "restart", "restart", "delete", "start"]
    ),
    st.integers(0, 20),
    st.integers(0, 5),
    st.sampled_from([0, 0, 0.5, 1, 3]),
)


# The model: everything takes no time, but for the pauses


@attrs.define(eq=False)
class Child:
    node: Node
    parent: Super
    number: int
    is_alive: bool = False
    started_at: float | None = None
    restarts: int = 0
    attempts: int = 0
    resumes_at: float | None = None
    holds_up: bool = False
    below: Super | None = None

    @property
    def state(self) -> str:
        if self.is_alive:
            return "running"
        return "restarting" if self.resumes_at is not None or self in self.parent.due else "ended"


@attrs.define(eq=False)
class Super:
    tree: Tree
    owner: Child | None = None
    children: list[Child] = attrs.Factory(list["Child"])
    numbers: int = 0
    counted: list[float] = attrs.Factory(list[float])
    cause: Child | None = None
    due: dict[Child, bool] = attrs.Factory(dict["Child", bool])
    end: Literal["gave up", "shut down", "failed"] | None = None

    def add(self, node: Node) -> Child:
        self.numbers += 1
        self.children.append(Child(node, self, self.numbers))
        return self.children[-1]


class Model:
    """What OTP's rules say.

    Attributes:
        root: The supervisor at the top.
        journal: Who has started (+), failed to start (!) and stopped (-), in order, in this step.
        fails: How often the next starts of each child fail.
        has_given_up: Whether any supervisor gave up in this step, or ended with a significant child.
        is_side_by_side: Whether the restarts of this step go on side by side.
    """

    def __init__(self, tree: Tree, now: float) -> None:
        self.journal: list[str] = []
        self.fails: Counter[str] = Counter()
        self.now = now
        self.has_given_up = False
        self.is_side_by_side = False
        self.root = Super(tree)
        for node in tree.nodes:
            self.start(self.root.add(node))

    # Lives

    def start(self, child: Child) -> bool:
        label, tree = child.node.label, child.node.below
        child.started_at = None
        if self.fails[label]:
            self.fails[label] -= 1
            self.journal.append(f"!{label}")
            return False
        if tree is not None:
            child.below = Super(tree, child)
            for node in tree.nodes:
                if not self.start(child.below.add(node)):
                    child.below.children.pop()
                    self.end_all(child.below)
                    return False
        self.journal.append(f"+{label}")
        child.is_alive = True
        child.started_at = self.now
        return True

    def end(self, child: Child, *, is_killed: bool = False) -> None:
        child.resumes_at = None
        if not child.is_alive:
            return
        child.is_alive = False
        if child.below is not None:
            self.end_all(child.below, is_killed=is_killed)
        if not is_killed:
            self.journal.append(f"-{child.node.label}")

    def end_all(self, parent: Super, *, is_killed: bool = False) -> None:
        for child in reversed(parent.children):
            self.end(child, is_killed=is_killed or child.node.is_cut_off)
        parent.cause = None
        parent.due.clear()

    # What comes of an end

    def ended(self, child: Child, *, is_abnormal: bool) -> None:
        parent = child.parent
        if parent.end is not None:
            if parent.end == "shut down" and is_abnormal:
                parent.end = "failed"  # an error of one that crashed meanwhile is not lost
            return
        restart = child.node.restart
        if restart == "permanent" or (restart == "transient" and is_abnormal):
            cause = parent.cause
            is_for_all = parent.tree.strategy == "one_for_all"
            if child in parent.due or (cause is not None and (is_for_all or cause.number < child.number)):
                child.restarts += 1
                parent.due[child] = True
            else:
                backoff = child.node.backoff
                if backoff and child.started_at is not None and self.now - child.started_at >= backoff.maximum:
                    child.attempts = 0
                self.restart(child)
            return
        if restart == "temporary":
            parent.children.remove(child)
        if child.node.significant:
            significant = [other for other in parent.children if other.node.significant]
            if parent.tree.auto_shutdown == "any_significant" or all(other.state == "ended" for other in significant):
                self.has_given_up = True
                parent.end = "shut down"

    def restart(self, child: Child, *, holds_up: bool = False) -> None:
        parent = child.parent
        parent.counted = [at for at in parent.counted if at >= self.now - parent.tree.max_seconds] + [self.now]
        if len(parent.counted) > parent.tree.max_restarts:
            parent.end = "gave up"
            self.has_given_up = True
            return
        child.restarts += 1
        backoff = child.node.backoff
        if backoff is None:
            self.begin_again(child)
        else:
            child.attempts += 1
            child.resumes_at = self.now + backoff.delay(child.attempts)
            child.holds_up = holds_up

    def begin_again(self, child: Child) -> None:
        parent = child.parent
        if parent.tree.strategy == "one_for_one":
            if not self.start(child):
                self.ended(child, is_abnormal=True)
            return
        parent.due[child] = True
        if parent.cause is None or child.number < parent.cause.number:
            parent.cause = child

    def settle(self, parent: Super) -> None:
        while parent.end is None:
            if parent.cause is not None:
                self.restart_several(parent, parent.cause)
            elif parent.due and not any(child.resumes_at and child.holds_up for child in parent.children):
                self.start_due(parent, sorted(parent.due, key=lambda child: child.number))
            else:
                return
        self.end_all(parent)
        owner = parent.owner
        if owner is not None:
            owner.is_alive = False
            self.journal.append(f"-{owner.node.label}")
            self.ended(owner, is_abnormal=parent.end != "shut down")
            self.settle(owner.parent)

    def restart_several(self, parent: Super, cause: Child) -> None:
        is_for_all = parent.tree.strategy == "one_for_all"
        members = [child for child in parent.children if is_for_all or child.number >= cause.number]
        parent.cause = None
        for member in reversed(members):
            parent.due[member] = parent.due.get(member, False) or member.resumes_at is not None
            self.end(member, is_killed=member.node.is_cut_off)
            if member.node.restart == "temporary":
                del parent.due[member]
                parent.children.remove(member)
        self.start_due(parent, [member for member in members if member in parent.due])

    def start_due(self, parent: Super, members: list[Child]) -> None:
        for member in members:
            is_counted = parent.due[member]
            if not is_counted:
                member.restarts += 1
            is_started = self.start(member)
            del parent.due[member]
            if not is_started:
                self.restart(member, holds_up=True)
                return

    # Time, and what is done

    def advance(self, now: float) -> None:
        while True:
            waiting = [child for child in self.everybody() if child.resumes_at is not None]
            first = min(waiting, key=lambda child: cast("float", child.resumes_at), default=None)
            if first is None or cast("float", first.resumes_at) > now:
                break
            self.now, first.resumes_at = cast("float", first.resumes_at), None
            self.begin_again(first)
            self.settle(first.parent)
        self.now = now

    def supers(self) -> list[Super]:
        found = [self.root]
        for parent in found:
            found += [child.below for child in parent.children if child.is_alive and child.below is not None]
        return found

    def everybody(self) -> list[Child]:
        return [child for parent in self.supers() for child in parent.children] if self.root.end is None else []

    def do(self, how: Operation, *targets: Child) -> None:
        for child in targets:
            self.end(child, is_killed=how == "kill")
            self.ended(child, is_abnormal=how in ("crash", "storm", "kill"))
        self.settle(targets[0].parent)

    def terminate(self, child: Child) -> None:
        parent = child.parent
        parent.due.pop(child, None)
        self.end(child, is_killed=child.node.is_cut_off)
        if child.node.restart == "temporary":
            parent.children.remove(child)
        self.settle(parent)

    # Steps

    def find(self, label: str) -> Child:
        return next(child for child in self.everybody() if child.node.label == label)

    def above(self, label: str) -> Super:
        return next(parent for parent in self.supers() if parent.owner is not None and parent.owner.node.label == label)

    def take(self, what: Taken) -> str:
        """Returns what whoever does this is told."""
        targets = [self.find(label) for label in what.targets]
        self.is_side_by_side = bool(targets) and targets[0].parent.tree.strategy == "one_for_one"
        if what.operation == "fail":
            self.fails[targets[0].node.label] += what.count
        elif what.operation == "start":
            assert what.node is not None
            parent = self.above(what.above) if what.above else self.root
            child = parent.add(what.node)
            if not self.start(child):
                parent.children.remove(child)
                return "failed"
        elif what.operation == "terminate":
            self.terminate(targets[0])
        elif what.operation in ("restart", "delete"):
            (child,) = targets
            if child.state != "ended":
                return child.state
            if what.operation == "delete":
                child.parent.children.remove(child)
            elif not self.start(child):
                return "failed"
        else:
            self.do(what.operation, *targets)
        return "done"


@attrs.frozen
class Taken:
    """A step, once it is known what there is.

    Attributes:
        targets: The labels of the children that it is about.
        above: The label of the supervisor that starts a child; empty for the root.
        count: How many starts fail.
    """

    operation: Operation
    targets: tuple[str, ...] = ()
    node: Node | None = None
    above: str = ""
    count: int = 0

    def orders(self) -> Iterator[Taken]:
        """In which orders the same may happen: what crashes at once does so in any."""
        for targets in itertools.permutations(self.targets):
            yield attrs.evolve(self, targets=targets)


def taken(step: Step, model: Model, labels: Labels) -> Taken | None:
    """What a step does, to whatever there is; None if there is nothing for it."""
    everybody = model.everybody()
    living = [child for child in everybody if child.is_alive]
    operation = step.operation
    if operation == "start":
        parents = model.supers()
        parent = parents[step.which % len(parents)]
        label, initial = labels.next()
        restart: list[Restart] = ["permanent", "transient", "temporary"]
        node = Node(label, restart[step.other % 3], has_name=True, initial=initial if step.other > 2 else None)
        return Taken("start", node=node, above="" if parent.owner is None else parent.owner.node.label)
    if operation in ("crash", "storm"):
        living = [child for child in living if child.node.below is None]
    candidates = everybody if operation in ("fail", "terminate", "restart", "delete") else living
    if operation in ("restart", "delete") and step.other:  # mostly where it is allowed
        candidates = [child for child in candidates if child.state == "ended"]
    if not candidates:
        return None
    child = candidates[step.which % len(candidates)]
    targets = [child]
    if operation == "storm":
        targets = [other for other in living if other.parent is child.parent][: 2 + step.other % 2]
    return Taken(operation, tuple(target.node.label for target in targets), count=1 + step.other // 2)


# The real thing


class Worker(Actor):
    """It keeps the journal; it does not start if it is not to."""

    def __init__(self, world: World, node: Node) -> None:
        self.world = world
        self.label = node.label

    async def on_start(self) -> None:
        await trio.sleep(self.world.seconds(self.label))
        self.world.begin(self.label)
        self.world.journal.append(f"+{self.label}")

    async def on_stop(self, exit: Exit) -> None:
        await trio.sleep(self.world.seconds(self.label) / 2)
        self.world.journal.append(f"-{self.label}")

    def bang(self) -> None:
        raise Bang(self.label)


class Nested(Supervisor):
    """A supervisor that does the same."""

    def __init__(self, world: World, node: Node) -> None:
        assert node.below is not None
        super().__init__(**world.options(node.below), name=node.label)
        self.world = world
        self.label = node.label

    async def on_start(self) -> None:
        self.world.begin(self.label)
        await super().on_start()
        self.world.journal.append(f"+{self.label}")

    async def on_stop(self, exit: Exit) -> None:
        self.world.journal.append(f"-{self.label}")


class World:
    """One run of a tree.

    Attributes:
        is_slow: Whether its workers take their time to start and to stop.
    """

    def __init__(self, *, is_slow: bool = False) -> None:
        self.is_slow = is_slow
        self.journal: list[str] = []
        self.fails: Counter[str] = Counter()
        self.names: Registry[str, None] = Registry("names")
        self.problems: list[str] = []
        self.labels = Labels(1000)

    def seconds(self, label: str) -> float:
        return int(label) % 4 * 0.7 if self.is_slow else 0

    def begin(self, label: str) -> None:
        if self.fails[label]:
            self.fails[label] -= 1
            self.journal.append(f"!{label}")
            raise Bang(label)

    def options(self, tree: Tree) -> dict[str, Any]:
        return {
            "children": [self.spec(node) for node in tree.nodes],
            "strategy": tree.strategy,
            "max_restarts": tree.max_restarts,
            "max_seconds": tree.max_seconds,
            "auto_shutdown": tree.auto_shutdown,
        }

    def spec(self, node: Node) -> ChildSpec:
        return ChildSpec(
            Worker if node.below is None else Nested,
            (self, node),
            id=node.label,
            name=self.names.via(node.label) if node.has_name else None,
            restart=node.restart,
            shutdown="kill" if node.is_cut_off else None,
            significant=node.significant,
            backoff=node.backoff,
        )

    # What there is

    def shape(self, supervisor: Supervisor) -> list[object]:
        return [
            (child.id, child.state, child.restarts, self.shape(below) if below is not None and child.ref else None)
            for child in supervisor.which_children()
            for below in [self.below(supervisor, child.id)]
        ]

    def below(self, supervisor: Supervisor, id: object) -> Supervisor | None:
        life = supervisor._engine.children[id].life
        return life.actor if life is not None and isinstance(life.actor, Supervisor) else None

    def supervisors(self, root: Supervisor) -> dict[str, Supervisor]:
        found = {"": root}
        for supervisor in (todo := [root]):
            for child in supervisor.which_children():
                below = self.below(supervisor, child.id)
                if below is not None:
                    found[str(child.id)] = below
                    todo.append(below)
        return found

    def refs(self, root: Supervisor) -> dict[str, ActorRef[Any]]:
        supervisors = self.supervisors(root).values()
        shown = [child for supervisor in supervisors for child in supervisor.which_children()]
        return {str(child.id): child.ref for child in shown if child.ref is not None}

    def differences(self, root: Supervisor, model: Model, what: object, *, is_storm: bool) -> str:
        """How the real tree is not what the model says; empty if it is."""
        if self.shape(root) != model_shape(model.root):
            return f"{what}: {self.shape(root)} instead of {model_shape(model.root)}"
        refs = self.refs(root)
        named = {child.node.label for child in model.everybody() if child.is_alive and child.node.has_name}
        if self.names.count() != len(named) or any(self.names.whereis(label) is not refs[label] for label in named):
            return f"{what}: {self.names.tables()} instead of {named}"
        return self.misprint(model, what, is_storm=is_storm)

    def misprint(self, model: Model, what: object, *, is_storm: bool) -> str:
        if is_storm and model.has_given_up:
            return ""  # it depends on what had just begun
        journals = [self.journal, model.journal]
        if is_storm:
            # Those that crash at once stop in any order; but those that are restarted together start in theirs.
            journals = [[entry for entry in journal if entry[0] == "+"] for journal in journals]
            if model.is_side_by_side:
                journals = [sorted(journal) for journal in journals]
        if journals[0] != journals[1]:
            return f"{what}: {self.journal} instead of {model.journal}"
        return ""

    # Doing

    async def do(self, root: Supervisor, what: Taken) -> str:
        refs = self.refs(root)
        operation = what.operation
        if operation == "start":
            assert what.node is not None
            return await told(self.supervisors(root)[what.above].start_child(self.spec(what.node)))
        label = what.targets[0]
        if operation == "fail":
            self.fails[label] += what.count
        elif operation == "terminate":
            return await told(self.parent_of(root, label).terminate_child(label))
        elif operation == "restart":
            return await told(self.parent_of(root, label).restart_child(label))
        elif operation == "delete":
            try:
                self.parent_of(root, label).delete_child(label)
            except ChildNotEnded as error:
                return error.state
        elif operation == "kill":
            refs[label].kill()
        elif operation == "cancel":
            refs[label].cancel()
        elif operation == "stop":
            await refs[label].stop()
        else:
            for target in what.targets:
                refs[target].cast_nowait(Worker.bang)
        return "done"

    def parent_of(self, root: Supervisor, label: str) -> Supervisor:
        supervisors = self.supervisors(root).values()
        return next(supervisor for supervisor in supervisors if label in supervisor._engine.children)

    async def run(self, tree: Tree, steps: tuple[Step, ...]) -> None:
        began = trio.current_time()
        tasks = trio.lowlevel.current_statistics().tasks_living
        models = [Model(tree, began)]
        what: object = "the start"
        is_storm = False
        left = ""
        with trio.CancelScope() as outside:
            try:
                async with open_supervisor(**self.options(tree)) as root:
                    for step in (None, *steps):
                        if step is not None:
                            now = trio.current_time() + step.pause
                            what, is_storm = f"a pause of {step.pause}", False
                            for model in models:
                                model.journal.clear()
                                model.advance(now)
                            self.journal.clear()
                            await trio.sleep_until(now)
                            await wait_all_tasks_blocked()
                            models = self.agreed(root, models, what, is_storm=False)
                            taking = taken(step, models[0], self.labels)
                            if taking is None:
                                continue
                            what, is_storm = taking, taking.operation == "storm"
                            models, expected = after(models, taking)
                            self.journal.clear()
                            result = await self.do(root, taking)
                            if result not in expected:
                                raise Different(f"{what}: {result} instead of {expected}")
                        await wait_all_tasks_blocked()
                        models = self.agreed(root, models, what, is_storm=is_storm)
                    what, is_storm = "the end", False
                    for model in models:
                        model.journal.clear()
                        model.end_all(model.root)
                    self.journal.clear()
                    left = "cancelled"
                    outside.cancel()
                left = left or "shut down"
            except RestartLimitExceeded:
                left = "gave up"
            except ExceptionGroup as group:
                if any(isinstance(leaf, Different) for leaf in leaves(group)):
                    raise
                left = "failed"
        ends = [model for model in models if (model.root.end or "cancelled") == left]
        if not ends:
            raise Different(f"{what}: {left} instead of {[model.root.end for model in models]}")
        misprints = [self.misprint(model, what, is_storm=is_storm) for model in ends]
        if all(misprints):
            raise Different(misprints[0])
        assert self.names.count() == 0
        await wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == tasks

    def taken(self, root: Supervisor, step: Step) -> Taken | None:
        """As `taken`, by what there is and not by what should be."""
        parents = self.supervisors(root)
        refs = self.refs(root)
        operation = step.operation
        if operation == "start":
            label, initial = self.labels.next()
            node = Node(label, has_name=True, initial=initial if step.other > 2 else None)
            return Taken("start", node=node, above=list(parents)[step.which % len(parents)])
        everybody = [str(child.id) for parent in parents.values() for child in parent.which_children()]
        candidates = everybody if operation in ("fail", "terminate", "restart", "delete") else list(refs)
        if operation in ("crash", "storm"):
            candidates = [label for label in candidates if label not in parents]
        if not candidates:
            return None
        first = step.which % len(candidates)
        number = 2 + step.other % 2 if operation == "storm" else 1
        return Taken(operation, tuple(candidates[first : first + number]), count=1 + step.other // 2)

    async def try_to(self, root: Supervisor, what: Taken) -> None:
        with suppress(ActorExited, LookupError, RuntimeError):  # its turn comes when the child, or more, has gone
            await self.do(root, what)

    def check_names(self, root: Supervisor) -> None:
        """Whoever has a life and a name is found by it, and nobody else is."""
        parents = self.supervisors(root).values()
        children = [child for parent in parents for child in parent._engine.children.values()]
        named = {child.id: child.ref for child in children if child.ref is not None and child.spec.name is not None}
        for label, ref in named.items():
            if self.names.whereis(cast("str", label)) is not ref:
                raise Different(f"{label} is {ref}, but found as {self.names.whereis(cast('str', label))}")
        if self.names.count() < len(named):
            raise Different(f"{self.names.tables()} for {named}")

    def agreed(self, root: Supervisor, models: list[Model], what: object, *, is_storm: bool) -> list[Model]:
        """The models that have it right; one at least must."""
        living = [model for model in models if model.root.end is None]
        if not living:
            raise Different(f"{what}: still there, though it {models[0].root.end}")
        differences = [self.differences(root, model, what, is_storm=is_storm) for model in living]
        if all(differences):
            raise Different(differences[0])
        return [model for model, difference in zip(living, differences, strict=True) if not difference]


class Different(Exception):
    """The real tree is not what every model says."""


async def told(operation: Awaitable[object]) -> str:
    try:
        await operation
    except ChildNotEnded as error:
        return error.state
    except Exception as error:
        if all(isinstance(leaf, Bang) for leaf in leaves(error)):
            return "failed"
        raise
    return "done"


def after(models: list[Model], what: Taken) -> tuple[list[Model], set[str]]:
    """What the models may become by a step, and what whoever does it may be told."""
    became: list[Model] = []
    expected: set[str] = set()
    for before in models:
        before.journal.clear()
        before.has_given_up = False
        for order in what.orders():
            model = copy.deepcopy(before)
            expected.add(model.take(order))
            became.append(model)
    return became, expected


def model_shape(parent: Super) -> list[object]:
    return [
        (
            child.node.label,
            child.state,
            child.restarts,
            model_shape(child.below) if child.below is not None and child.is_alive else None,
        )
        for child in parent.children
    ]


@given(tree=st.integers(1, 4).flatmap(trees), steps=st.lists(steps, min_size=5, max_size=25).map(tuple))
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
def test_supervision_is_what_a_plain_model_of_its_rules_says(tree: Tree, steps: tuple[Step, ...]) -> None:
    trio.run(World().run, tree, steps, clock=MockClock(autojump_threshold=0))


# The same, where starts and stops take their time, and things happen in the middle of others: what must hold is less


async def overlap(world: World, tree: Tree, steps: tuple[Step, ...]) -> None:
    """Take the steps without waiting for what comes of them."""
    tasks = trio.lowlevel.current_statistics().tasks_living
    try:
        with trio.CancelScope() as outside:
            async with open_supervisor(**world.options(tree)) as root, trio.open_nursery() as nursery:
                for step in steps:
                    await trio.sleep(step.pause)
                    await wait_all_tasks_blocked()
                    world.check_names(root)
                    taking = world.taken(root, step)
                    if taking is not None:
                        nursery.start_soon(world.try_to, root, taking)
                await trio.sleep(1000)
                world.check_names(root)
                shown = [
                    child.state for parent in world.supervisors(root).values() for child in parent.which_children()
                ]
                if not {"running", "ended"}.issuperset(shown):
                    raise Different(f"after a long time: {world.shape(root)}")
                outside.cancel()
    except ExceptionGroup as group:  # somebody gave up, or crashed in a shutdown
        errors = leaves(group)
        assert all(isinstance(error, Bang | ActorExited) for error in errors), errors
    assert world.names.count() == 0
    await wait_all_tasks_blocked()
    assert trio.lowlevel.current_statistics().tasks_living == tasks


@given(tree=st.integers(1, 3).flatmap(trees), steps=st.lists(steps, min_size=5, max_size=25).map(tuple))
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_happens_in_the_middle_of_whatever_else_names_are_right_and_nothing_hangs_or_stays(
    tree: Tree, steps: tuple[Step, ...]
) -> None:
    trio.run(overlap, World(is_slow=True), tree, steps, clock=MockClock(autojump_threshold=0))


# An outer cancellation at each step of whatever goes on


class CancellingAtStep(trio.abc.Instrument):
    """Cancels a scope after the n-th step of any task."""

    def __init__(self, n: int, scope: trio.CancelScope) -> None:
        self.n = n
        self.steps = 0
        self.scope = scope
        self.at = math.inf

    def after_task_step(self, task: Task) -> None:
        self.steps += 1
        if self.steps == self.n:
            self.at = trio.current_time()
            self.scope.cancel()


class Slow(Actor):
    """Each of its ends and beginnings takes a while; it has a background task, and a name beside its own."""

    def __init__(self, stage: Stage, label: str) -> None:
        self.stage = stage
        self.label = label
        stage.names.register(f"also {label}")

    async def on_start(self) -> None:
        self.start_soon(trio.sleep_forever)
        await trio.sleep(1)
        if self.stage.fails[self.label]:
            self.stage.fails[self.label] -= 1
            raise Bang(self.label)
        self.stage.note(f"+{self.label}")

    async def on_stop(self, exit: Exit) -> None:
        self.stage.note(f"<{self.label}")
        await trio.sleep(1)
        self.stage.note(f"-{self.label}")

    def bang(self) -> None:
        raise Bang(self.label)


class Stage:
    """A supervisor of a, b, c and of one that has d, e below it, and something that goes on with them."""

    def __init__(self, strategy: Strategy) -> None:
        self.names: Registry[str, None] = Registry("names")
        self.journal: list[tuple[float, str]] = []
        self.fails: Counter[str] = Counter()
        self.strategy: Strategy = strategy

    def note(self, entry: str) -> None:
        self.journal.append((trio.current_time(), entry))

    def spec(self, label: str, **options: Any) -> ChildSpec:
        return ChildSpec(Slow, (self, label), id=label, name=self.names.via(label), **options)

    def specs(self) -> list[ChildSpec]:
        inner = [self.spec("d"), self.spec("e")]
        return [
            self.spec("a"),
            self.spec("b", backoff=Backoff(initial=2)),
            ChildSpec(Supervisor, (inner,), id="inner", name=self.names.via("inner")),
            self.spec("c"),
        ]

    def crash(self, *labels: str) -> None:
        for label in labels:
            cast("ActorRef[Slow]", self.names.via(label)._resolve()).cast_nowait(Slow.bang)


async def starts(stage: Stage, supervisor: Supervisor) -> None:
    await supervisor.start_child(stage.spec("f"))


async def fails_to_start(stage: Stage, supervisor: Supervisor) -> None:
    stage.fails["f"] = 1
    with pytest.raises(Bang):
        await supervisor.start_child(stage.spec("f"))


async def restarts_one(stage: Stage, supervisor: Supervisor) -> None:
    stage.crash("a")
    await trio.sleep(20)


async def restarts_after_a_pause(stage: Stage, supervisor: Supervisor) -> None:
    stage.crash("b")
    await trio.sleep(20)


async def fails_to_restart(stage: Stage, supervisor: Supervisor) -> None:
    stage.fails["b"] = 1
    stage.crash("a", "b")
    await trio.sleep(40)


async def restarts_several(stage: Stage, supervisor: Supervisor) -> None:
    stage.crash("c", "a", "e")
    await trio.sleep(40)


async def restarts_a_tree(stage: Stage, supervisor: Supervisor) -> None:
    stage.names.via("inner")._resolve().kill()
    await trio.sleep(40)


async def terminates(stage: Stage, supervisor: Supervisor) -> None:
    await supervisor.terminate_child("inner")
    await supervisor.restart_child("inner")
    await supervisor.terminate_child("a")
    supervisor.delete_child("a")


async def gives_up(stage: Stage, supervisor: Supervisor) -> None:
    stage.crash("e", "b")
    await trio.sleep(100)
    raise AssertionError("the block went on")


async def shuts_down(stage: Stage, supervisor: Supervisor) -> None:
    supervisor.stop()
    await trio.sleep(100)
    raise AssertionError("the block went on")


SITUATIONS = [
    starts,
    fails_to_start,
    restarts_one,
    restarts_after_a_pause,
    fails_to_restart,
    restarts_several,
    restarts_a_tree,
    terminates,
    gives_up,
    shuts_down,
]


def out_of_order(journal: list[tuple[float, str]], since: float) -> list[str]:
    """Who has begun to end, later than ``since``, before those that were started after it had ended."""
    order = "abdecf"
    last, is_ended, wrong = len(order), True, list[str]()
    for at, entry in journal:
        if at > since and entry[0] == "<":
            if order.index(entry[1]) >= last or not is_ended:
                wrong.append(entry)
            last, is_ended = order.index(entry[1]), False
        elif at > since and entry[0] == "-":
            is_ended = True
    return wrong


@pytest.mark.parametrize("situation", SITUATIONS, ids=[situation.__name__ for situation in SITUATIONS])
@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_supervisor_that_is_cancelled_at_any_step_ends_in_order_and_leaves_nothing(
    strategy: Strategy, situation: Callable[[Stage, Supervisor], Awaitable[None]], autojump_clock: MockClock
) -> None:
    tasks = trio.lowlevel.current_statistics().tasks_living
    cancelling = CancellingAtStep(0, trio.CancelScope())
    while cancelling.steps >= cancelling.n:  # it has been reached
        stage = Stage(strategy)
        limit = 0 if situation is gives_up else 5
        with trio.fail_after(1000), trio.CancelScope() as scope:
            cancelling = CancellingAtStep(cancelling.n + 1, scope)
            try:
                async with open_supervisor(stage.specs(), strategy=strategy, max_restarts=limit) as supervisor:
                    trio.lowlevel.add_instrument(cancelling)
                    await situation(stage, supervisor)
                    scope.cancel()
            except* Bang:
                pass
        trio.lowlevel.remove_instrument(cancelling)
        assert stage.names.count() == 0
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        lives = Counter[str]()
        for _, entry in stage.journal:
            lives[entry[1]] += {"+": 1, "<": 0, "-": -1}[entry[0]]
        # Those below a supervisor that is killed end without a word.
        assert all(left == 0 or (left == 1 and situation is restarts_a_tree) for left in lives.values())
        assert out_of_order(stage.journal, cancelling.at) == []
    assert cancelling.n > 10
