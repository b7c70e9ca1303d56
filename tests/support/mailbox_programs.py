"""Random programs of senders, cancellations, crashes and ends, for the machine test of the mailbox."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import attrs
from hypothesis import strategies as st

from support.inside import BATCH, COMPACT
from trioreg import ActorRef

Operation = Literal["call", "cast", "cast_nowait", "send", "send_nowait"]
Form = Literal["sync", "async", "mixed"]
Effect = Literal[
    "answer",
    "refuse",
    "crash",
    "note crash",
    "stop crash",
    "cancel crash",
    "kill crash",
    "background crash",
    "stop",
    "cancel",
    "kill",
    "stop refuse",
    "cancel refuse",
    "kill refuse",
    "note",
    "stop note",
    "cancel note",
    "kill note",
    "background note",
    "defer",
    "stop defer",
    "cancel defer",
    "defer refusal",
    "answered",
    "keep",
    "forget",
]
End = Literal["stop", "cancel", "kill"]
Told = Literal["accepted", "answered", "refused", "no reply", "exited", "full", "unknown", "cancelled"]
Life: TypeAlias = ActorRef[Any]


@attrs.frozen
class Step:
    """One message of a sender.

    Attributes:
        pause: Seconds before it; 0 is not even a checkpoint.
        form: The handler's; "mixed" is a sync handler that returns a coroutine. A plain message has an async handler.
        effect: What the handler does after its duration.
        duration: The seconds that an async handler or a deferred reply takes.
        patience: After how many seconds, or at which checkpoint, the operation is cancelled.
    """

    pause: int = 0
    operation: Operation = "call"
    form: Form = "async"
    effect: Effect = "answer"
    duration: int = 0
    patience: tuple[Literal["seconds", "checkpoint"], int] | None = None


@attrs.frozen
class Sender:
    """A task that sends its messages one after the other, to the first life, or to the life that has the name."""

    steps: tuple[Step, ...]
    address: Literal["reference", "name", "waiting name"] = "reference"
    is_cancelled_at: int | None = None


@attrs.frozen
class Program:
    """Everything that happens.

    Attributes:
        kind: "plain" overrides no hook, "hooked" all of them (the runtime takes other ways then), "function" is
            a function actor: calls and casts to it become plain messages.
        ends: For each end of the life that has the name: after how many seconds, how many checkpoints later, and how.
        is_drained: Whether the supervisor's end waits until everything has been handled.
        batch, compact_at: Values for constants of the runtime that short programs never reach.
    """

    senders: tuple[Sender, ...]
    mailbox_size: int | None = None
    kind: Literal["plain", "hooked", "function"] = "plain"
    restart: Literal["permanent", "transient", "temporary"] = "permanent"
    ends: tuple[tuple[int, int, End], ...] = ()
    is_drained: bool = True
    batch: int = BATCH
    compact_at: int = COMPACT

    @property
    def horizon(self) -> float:
        """The seconds after which everything that can end has ended."""
        steps = [step for sender in self.senders for step in sender.steps]
        lives = 1 + len(steps) + len(self.ends)
        return (
            sum(step.pause + 2 * step.duration + 1 for step in steps)
            + max((at for at, _, _ in self.ends), default=0)
            + (lives * (START + STOP) if self.kind == "hooked" else 0)
        )


START, STOP, IDLE = 1, 2, 3
"""How many seconds the hooks of a "hooked" actor take, and after how many it is idle."""


steps = st.builds(
    Step,
    pause=st.sampled_from([0, 0, 0, 1, 2]),
    operation=st.sampled_from(["call", "call", "cast", "cast_nowait", "send", "send_nowait"]),
    form=st.sampled_from(["sync", "async", "mixed"]),
    # Ends are rarer than the rest: a program of many short lives shows little of a mailbox.
    effect=st.sampled_from(
        ["answer"] * 16
        + ["note", "defer"] * 4
        + ["refuse", "defer refusal", "answered", "keep", "forget", "background note"] * 2
        + ["crash", "stop", "cancel", "kill"] * 2
        + ["background crash", "note crash", "stop crash", "cancel crash", "kill crash"]
        + ["stop refuse", "cancel refuse", "kill refuse", "stop defer", "cancel defer"]
        + ["stop note", "cancel note", "kill note"]
    ),
    duration=st.sampled_from([0, 0, 1, 2, 3]),
    patience=st.none() | st.none() | st.tuples(st.sampled_from(["seconds", "checkpoint"]), st.integers(0, 3)),
)


senders = st.builds(
    Sender,
    steps=st.lists(steps, min_size=1, max_size=8).map(tuple),
    address=st.sampled_from(["reference", "name", "waiting name"]),
    is_cancelled_at=st.none() | st.none() | st.integers(0, 9),
)


programs = st.builds(
    Program,
    senders=st.lists(senders, min_size=1, max_size=5).map(tuple),
    mailbox_size=st.sampled_from([None, 1, 2, 3]),
    kind=st.sampled_from(["plain", "plain", "hooked", "function"]),
    restart=st.sampled_from(["permanent", "transient", "temporary"]),
    ends=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3), st.sampled_from(get_args(End))), max_size=2).map(
        tuple
    ),
    is_drained=st.booleans(),
    batch=st.sampled_from([1, BATCH]),
    compact_at=st.sampled_from([0, COMPACT]),
)
