"""Supervision against a plain model of OTP's rules: random trees, and random crashes, kills, stops and starts at random
virtual times.

The model is told each step and says what comes of it. Then the step is taken, and what came of it is compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, cast

import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.children import states_by_id
from support.errors import Bang, leaves
from support.supervision_model import Labels, Model, Node, Step, Taken, Tree, after, model_shape, steps, taken, trees
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    ChildInfo,
    ChildNotEnded,
    ChildSpec,
    Exit,
    Registry,
    RestartLimitExceeded,
    Supervisor,
    open_supervisor,
)

EXAMPLES = 2 * cast("settings", settings.default).max_examples
"""More than elsewhere: most of what can go wrong takes several steps that have to do with one another."""


class Worker(Actor):
    """It writes its starts and stops into the journal, and fails to start where the world says so."""

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
    """A supervisor that does the same as a `Worker`."""

    def __init__(self, world: World, node: Node) -> None:
        assert node.below is not None
        super().__init__(**world.options(node.below), name=node.label)
        self.world = world
        self.label = node.label
        world.nested[node.label] = self

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
        self.nested: dict[str, Supervisor] = {}
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
            limit=node.limit,
        )

    # The real tree

    def shape(self, supervisor: Supervisor) -> list[object]:
        return [
            (child.id, child.state, child.restarts, self.shape(below) if below is not None else None)
            for child in supervisor.which_children()
            for below in [self.below(child)]
        ]

    def below(self, child: ChildInfo) -> Supervisor | None:
        """The supervisor that a child is; None where it is a worker, or its present life has not begun yet."""
        supervisor = self.nested.get(str(child.id))
        return supervisor if supervisor is not None and supervisor.ref is child.ref else None

    def supervisors(self, root: Supervisor) -> dict[str, Supervisor]:
        found = {"": root}
        for supervisor in (todo := [root]):
            for child in supervisor.which_children():
                below = self.below(child)
                if below is not None:
                    found[str(child.id)] = below
                    todo.append(below)
        return found

    def refs(self, root: Supervisor) -> dict[str, ActorRef[Any]]:
        supervisors = self.supervisors(root).values()
        shown = [child for supervisor in supervisors for child in supervisor.which_children()]
        return {str(child.id): child.ref for child in shown if child.ref is not None}

    def differences(self, root: Supervisor, model: Model, what: object, *, is_storm: bool) -> str:
        """How the real tree differs from the model; empty if it does not."""
        if self.shape(root) != model_shape(model.root):
            return f"{what}: {self.shape(root)} instead of {model_shape(model.root)}"
        refs = self.refs(root)
        named = {child.node.label for child in model.descendants() if child.is_alive and child.node.has_name}
        if self.names.count() != len(named) or any(self.names.whereis(label) is not refs[label] for label in named):
            return f"{what}: {self.names.tables()} instead of {named}"
        return self.misprint(model, what, is_storm=is_storm)

    def misprint(self, model: Model, what: object, *, is_storm: bool) -> str:
        if is_storm and model.has_given_up:
            return ""  # it depends on what had just begun
        journals = [self.journal, model.journal]
        if is_storm:
            # Children that crash at once stop in any order. Children that are restarted together start in order.
            journals = [[entry for entry in journal if entry[0] == "+"] for journal in journals]
            if model.is_side_by_side:
                journals = [sorted(journal) for journal in journals]
        if journals[0] != journals[1]:
            return f"{what}: {self.journal} instead of {model.journal}"
        return ""

    # Steps

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
        return next(supervisor for supervisor in supervisors if label in states_by_id(supervisor))

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
            except ExceptionGroup as group:
                if any(isinstance(leaf, Different) for leaf in leaves(group)):
                    raise
                first = group.exceptions[0]
                gave_up = isinstance(first, RestartLimitExceeded) and first.supervisor == "supervisor"
                left = "gave up" if gave_up else "failed"
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
        """As the function `taken`, but by the real tree instead of the model."""
        parents = self.supervisors(root)
        refs = self.refs(root)
        operation = step.operation
        if operation == "start":
            label, initial = self.labels.next()
            node = Node(label, has_name=True, initial=initial if step.other > 2 else None)
            return Taken("start", node=node, above=list(parents)[step.which % len(parents)])
        everything = [str(child.id) for parent in parents.values() for child in parent.which_children()]
        candidates = everything if operation in ("fail", "terminate", "restart", "delete") else list(refs)
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
        """Each child that has a life and a name is found by its name, and no other actor is."""
        parents = self.supervisors(root).values()
        children = [child for parent in parents for child in parent.which_children()]
        named = {child.id: child.ref for child in children if child.ref is not None and child.spec.name is not None}
        for label, ref in named.items():
            if self.names.whereis(cast("str", label)) is not ref:
                raise Different(f"{label} is {ref}, but found as {self.names.whereis(cast('str', label))}")
        if self.names.count() < len(named):
            raise Different(f"{self.names.tables()} for {named}")

    def agreed(self, root: Supervisor, models: list[Model], what: object, *, is_storm: bool) -> list[Model]:
        """The models that agree with the real tree. There must be one."""
        living = [model for model in models if model.root.end is None]
        if not living:
            raise Different(f"{what}: still there, though it {models[0].root.end}")
        differences = [self.differences(root, model, what, is_storm=is_storm) for model in living]
        if all(differences):
            raise Different(differences[0])
        return [model for model, difference in zip(living, differences, strict=True) if not difference]


class Different(Exception):
    """The real tree differs from every model."""


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


@given(tree=st.integers(1, 4).flatmap(trees), steps=st.lists(steps, min_size=5, max_size=25).map(tuple))
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
def test_supervision_does_what_a_plain_model_of_its_rules_says(tree: Tree, steps: tuple[Step, ...]) -> None:
    trio.run(World().run, tree, steps, clock=MockClock(autojump_threshold=0))


# Slow starts and stops, and things that happen in the middle of others: less must hold


async def overlap(world: World, tree: Tree, steps: tuple[Step, ...]) -> None:
    """Take the steps without waiting for the results of earlier steps."""
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
    except ExceptionGroup as group:  # a supervisor gave up, or a child crashed in a shutdown
        errors = leaves(group)
        assert all(isinstance(error, Bang | ActorExited | RestartLimitExceeded) for error in errors), errors
    assert world.names.count() == 0
    await wait_all_tasks_blocked()
    assert trio.lowlevel.current_statistics().tasks_living == tasks


@given(tree=st.integers(1, 3).flatmap(trees), steps=st.lists(steps, min_size=5, max_size=25).map(tuple))
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
def test_names_are_right_and_nothing_hangs_or_stays_when_steps_overlap(tree: Tree, steps: tuple[Step, ...]) -> None:
    trio.run(overlap, World(is_slow=True), tree, steps, clock=MockClock(autojump_threshold=0))
