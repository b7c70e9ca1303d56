"""A plain model of OTP's rules of supervision.

A `Tree` and its `Step`s are data: what hypothesis finds, it shrinks. The `Model` of the tree is told each step and says
at once what comes of it: which children live, how often each was restarted, which supervisors give up, and what the
children write into their journal when they start and stop, in which order.
"""

from __future__ import annotations

import copy
import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Literal, TypeAlias, cast

import attrs
from hypothesis import strategies as st

from trioreg import Backoff, RestartLimit

Restart: TypeAlias = Literal["permanent", "transient", "temporary"]
Strategy: TypeAlias = Literal["one_for_one", "one_for_all", "rest_for_one"]
AutoShutdown: TypeAlias = Literal["never", "any_significant", "all_significant"]

LIMITS: list[RestartLimit | None] = [
    None,
    None,
    None,
    RestartLimit(0, 4.21),
    RestartLimit(1, 4.21),
    RestartLimit(2, 1000.21),
    RestartLimit(1, 4.21, "escalate"),
    RestartLimit(5, 1000.21, "escalate"),
]
STRATEGIES: list[Strategy] = ["one_for_one", "one_for_all", "rest_for_one"]
Operation = Literal["crash", "kill", "cancel", "stop", "storm", "terminate", "restart", "delete", "start", "fail"]


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
    limit: RestartLimit | None = None

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
    """An operation after a pause in seconds. The numbers choose the children, from those that are there by then."""

    operation: Operation
    which: int = 0
    other: int = 0
    pause: float = 0


@attrs.define
class Labels:
    """Makes a label and a backoff for each node. No two nodes have the same, so no two wait for the same time."""

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
                draw(st.sampled_from(LIMITS)),
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
    counted: list[float] = attrs.Factory(list[float])
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
        journal: The starts (+), failed starts (!) and stops (-) of this step, in order.
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

    # What follows an end

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
        self.ended_for_good(child)

    def ended_for_good(self, child: Child) -> None:
        parent = child.parent
        if child.node.restart == "temporary":
            parent.children.remove(child)
        if child.node.significant:
            significant = [other for other in parent.children if other.node.significant]
            if parent.tree.auto_shutdown == "any_significant" or all(other.state == "ended" for other in significant):
                self.has_given_up = True
                parent.end = "shut down"

    def restart(self, child: Child, *, holds_up: bool = False) -> None:
        parent = child.parent
        limit = child.node.limit
        counter = parent if limit is None else child
        max_seconds = parent.tree.max_seconds if limit is None else limit.max_seconds
        max_restarts = parent.tree.max_restarts if limit is None else limit.max_restarts
        counter.counted = [at for at in counter.counted if at >= self.now - max_seconds] + [self.now]
        if len(counter.counted) > max_restarts:
            if limit is not None and limit.then == "drop":
                child.counted, child.attempts = [], 0
                self.ended_for_good(child)
                return
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

    # Time, and operations

    def advance(self, now: float) -> None:
        while True:
            waiting = [child for child in self.descendants() if child.resumes_at is not None]
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

    def descendants(self) -> list[Child]:
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
        return next(child for child in self.descendants() if child.node.label == label)

    def above(self, label: str) -> Super:
        return next(parent for parent in self.supers() if parent.owner is not None and parent.owner.node.label == label)

    def take(self, what: Taken) -> str:
        """Take a step. Returns what its caller should be told."""
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
        """The orders in which the step may happen: children that crash at once do so in any order."""
        for targets in itertools.permutations(self.targets):
            yield attrs.evolve(self, targets=targets)


def taken(step: Step, model: Model, labels: Labels) -> Taken | None:
    """What a step does to the children that are there; None if there is no child for it."""
    family = model.descendants()
    living = [child for child in family if child.is_alive]
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
    candidates = family if operation in ("fail", "terminate", "restart", "delete") else living
    if operation in ("restart", "delete") and step.other:  # mostly where it is allowed
        candidates = [child for child in candidates if child.state == "ended"]
    if not candidates:
        return None
    child = candidates[step.which % len(candidates)]
    targets = [child]
    if operation == "storm":
        targets = [other for other in living if other.parent is child.parent][: 2 + step.other % 2]
    return Taken(operation, tuple(target.node.label for target in targets), count=1 + step.other // 2)


def after(models: list[Model], what: Taken) -> tuple[list[Model], set[str]]:
    """What the models may become by a step, and what its caller may be told."""
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
