"""Spans and metrics of a running program, with the API of OpenTelemetry. `trioreg.telemetry` puts them together.

Read first: `route.py` (what spans and metrics are called), then `spans.py`, `handling.py` (the context of a handler),
and `metrics.py`. Only `trioreg.telemetry` imports this wing: OpenTelemetry need not be installed for anything else.
"""

from .failures import Failures
from .handling import Handling
from .metrics import Metrics
from .outcome import Outcome, error_type, outcome_of
from .publications import Publication, Publications
from .route import Route, Routes
from .schema import SCHEMA_URL, SYSTEM
from .spans import SpanAttributes, Spans

__all__ = [
    "SCHEMA_URL",
    "SYSTEM",
    "Failures",
    "Handling",
    "Metrics",
    "Outcome",
    "Publication",
    "Publications",
    "Route",
    "Routes",
    "SpanAttributes",
    "Spans",
    "error_type",
    "outcome_of",
]
