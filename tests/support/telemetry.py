"""Spans and metrics of a test, kept in memory by the SDK of OpenTelemetry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import SpanContext, SpanKind
from opentelemetry.util.types import Attributes

import trioreg
from trioreg.telemetry import Telemetry


class Seen:
    """A `Telemetry`, and what it has made."""

    def __init__(
        self, sampler: Sampler | None = None, attributes: Callable[[trioreg.Message], Attributes] | None = None
    ) -> None:
        self._spans = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracers = TracerProvider(sampler)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.tracer = self.tracers.get_tracer("test")
        meters = MeterProvider([self._reader])
        self.telemetry = Telemetry(tracer_provider=self.tracers, meter_provider=meters, attributes=attributes)

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended, in the order of their ends."""
        return list(self._spans.get_finished_spans())

    def lines(self) -> list[str]:
        return [f"{span.kind.name} {span.name}" for span in self.spans]

    def one(self, name: str, kind: SpanKind | None = None) -> ReadableSpan:
        """The only span of that name and kind."""
        (span,) = self.all(name, kind)
        return span

    def all(self, name: str, kind: SpanKind | None = None) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name and kind in (None, span.kind)]

    def points(self, name: str) -> list[tuple[Mapping[str, object], float, int]]:
        """Of a metric: the attributes, the value or the sum, and the count, for each set of attributes."""
        data = self._reader.get_metrics_data()
        points: list[tuple[Mapping[str, object], float, int]] = []
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        points += [_point(point) for point in metric.data.data_points]
        return points

    def values(self, name: str, *keys: str) -> dict[Sequence[object], float]:
        """Of a metric: the value, by some of the attributes."""
        return {tuple(attributes.get(key) for key in keys): value for attributes, value, _ in self.points(name)}


def _point(point: object) -> tuple[Mapping[str, object], float, int]:
    if isinstance(point, HistogramDataPoint):
        return dict(point.attributes or {}), point.sum, point.count
    assert isinstance(point, NumberDataPoint)
    return dict(point.attributes or {}), point.value, 1


def is_below(span: ReadableSpan, parent: ReadableSpan) -> bool:
    """Whether a span is a child of another."""
    return span.parent is not None and span.parent.span_id == parent_id(parent)


def parent_id(span: ReadableSpan) -> int:
    context: SpanContext | None = span.context
    assert context is not None
    return context.span_id


def links_of(span: ReadableSpan) -> list[int]:
    return [link.context.span_id for link in span.links]
