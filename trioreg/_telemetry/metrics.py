"""Metrics. Numbers that change are recorded when they change. What can be counted is counted only when it is asked for.

It is asked for in the exporter's own thread. So each count is taken from a copy that is made in one step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from .._registry import Names
from .outcome import error_type
from .schema import ACTOR_CLASS, ERROR_TYPE, OUTCOME, REASON, REGISTRY, SCHEMA_URL, SYSTEM

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram, MeterProvider

    from .._actors import ActorRef
    from .._runtime import Run
    from .failures import Failures
    from .outcome import Outcome
    from .route import Attributes, Route

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The boundaries that the conventions give for durations."""

Callback: TypeAlias = Callable[[CallbackOptions], Iterable[Observation]]


class Metrics:
    """All metrics of one program.

    Args:
        provider: Where they go; None: the global provider.
        failures: Where errors go.
    """

    __slots__ = (
        "_actors",
        "_client",
        "_exits",
        "_failures",
        "_gave_up",
        "_messages",
        "_process",
        "_restarts",
        "_runs",
        "_server",
        "_waited",
    )

    def __init__(self, provider: MeterProvider | None, failures: Failures) -> None:
        self._failures = failures
        self._actors: dict[str, set[ActorRef[object]]] = {}
        self._runs: list[Run] = []
        meter = metrics.get_meter(SYSTEM, meter_provider=provider, schema_url=SCHEMA_URL)

        def seconds(name: str, description: str) -> Histogram:
            return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=SECONDS)

        self._client = seconds("rpc.client.call.duration", "How long callers wait for an answer.")
        self._server = seconds("rpc.server.call.duration", "How long handlers of calls take.")
        self._process = seconds("messaging.process.duration", "How long handlers of other messages take.")
        self._waited = seconds(
            "trioreg.message.wait.duration", "How long messages wait until an actor begins with them."
        )
        self._messages = meter.create_counter("trioreg.messages", "{message}", "Messages that are over.")
        self._exits = meter.create_counter("trioreg.actor.exits", "{actor}", "Actors that have ended.")
        self._restarts = meter.create_counter("trioreg.actor.restarts", "{restart}", "Restarts of actors.")
        self._gave_up = meter.create_counter("trioreg.supervisor.give_ups", "{supervisor}", "Supervisors that gave up.")
        meter.create_observable_up_down_counter(
            "trioreg.actor.count", [self._count_actors], "{actor}", "Actors that have not ended."
        )
        meter.create_observable_gauge(
            "trioreg.mailbox.length",
            [self._longest_mailboxes],
            "{message}",
            "The longest mailbox of a class of actors.",
        )
        meter.create_observable_up_down_counter(
            "trioreg.mailbox.message.count", [self._count_queued], "{message}", "Messages in all mailboxes of a class."
        )
        meter.create_observable_gauge(
            "trioreg.registry.name.count", [self._count_names], "{name}", "Names in a registry."
        )

    # What happens

    def began(self, route: Route, waited: float) -> None:
        self._record(self._waited, waited, route.attributes)

    def handled(self, route: Route, seconds: float, outcome: Outcome, error: BaseException | None) -> None:
        histogram = self._server if route.is_call else self._process
        is_failed = outcome == "error" or (outcome == "declared_error" and not route.is_call)
        failed = error if is_failed else None
        self._record(histogram, seconds, _with_outcome(route.duration_attributes, outcome, failed))
        self.over(route, outcome)

    def answered(self, route: Route, seconds: float, outcome: Outcome, error: BaseException | None) -> None:
        failed = None if outcome == "cancelled" else error
        self._record(self._client, seconds, _with_outcome(route.duration_attributes, outcome, failed))

    def over(self, route: Route, outcome: Outcome) -> None:
        self._add(self._messages, {**route.attributes, OUTCOME: outcome})

    def starting(self, ref: ActorRef[object]) -> None:
        if ref._run not in self._runs:
            self._runs = [*(run for run in self._runs if not run.is_over), ref._run]
        label = ref._label
        actors = self._actors.get(label)
        if actors is None:
            actors = self._actors[label] = set()
        actors.add(ref)

    def exited(self, ref: ActorRef[object], reason: str) -> None:
        self._actors.get(ref._label, set()).discard(ref)
        self._add(self._exits, {ACTOR_CLASS: ref._label, REASON: reason})

    def restarted(self, ref: ActorRef[object]) -> None:
        self._add(self._restarts, {ACTOR_CLASS: ref._label})

    def gave_up(self) -> None:
        self._add(self._gave_up, {})

    def _record(self, histogram: Histogram, seconds: float, attributes: Attributes) -> None:
        try:
            histogram.record(seconds, attributes)
        except Exception as error:
            self._failures.report(error)

    def _add(self, counter: Counter, attributes: Attributes) -> None:
        try:
            counter.add(1, attributes)
        except Exception as error:
            self._failures.report(error)

    # What there is: in the exporter's thread

    def _count_actors(self, _: CallbackOptions) -> Iterator[Observation]:
        for label, actors in list(self._actors.items()):
            yield Observation(len(actors), {ACTOR_CLASS: label})

    def _longest_mailboxes(self, _: CallbackOptions) -> Iterator[Observation]:
        for label, actors in list(self._actors.items()):
            yield Observation(max(_lengths(actors), default=0), {ACTOR_CLASS: label})

    def _count_queued(self, _: CallbackOptions) -> Iterator[Observation]:
        for label, actors in list(self._actors.items()):
            yield Observation(sum(_lengths(actors)), {ACTOR_CLASS: label})

    def _count_names(self, _: CallbackOptions) -> Iterator[Observation]:
        for run in self._runs:
            if not run.is_over:
                counts: dict[str, int] = {}
                for names in _registries_of(run):
                    if isinstance(names, Names):
                        counts[names.name] = counts.get(names.name, 0) + names.count()
                for name, count in counts.items():
                    yield Observation(count, {REGISTRY: name})


def _with_outcome(attributes: Attributes, outcome: Outcome, failed: BaseException | None) -> dict[str, str]:
    with_outcome = {**attributes, OUTCOME: outcome}
    if failed is not None:
        with_outcome[ERROR_TYPE] = error_type(failed)
    elif outcome == "exited":
        with_outcome[ERROR_TYPE] = outcome
    return with_outcome


def _registries_of(run: Run) -> list[object]:
    for _ in range(10):
        try:
            return list(run.registries)
        except RuntimeError:
            pass  # the run has added one meanwhile
    return []


def _lengths(actors: set[ActorRef[object]]) -> Iterator[int]:
    for ref in list(actors):
        cell = ref._cell
        if cell is not None:
            yield cell.queued
