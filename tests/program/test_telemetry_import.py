"""OpenTelemetry is imported by `trioreg.telemetry` only, which says so if it is not there."""

from __future__ import annotations

from support.imports import run_program, without


def test_trioreg_imports_nothing_of_opentelemetry() -> None:
    program = "import sys, trioreg; print([name for name in sys.modules if name.startswith('opentelemetry')])"
    assert run_program(program) == "[]\n"


def test_trioreg_works_without_opentelemetry_and_telemetry_says_what_to_install() -> None:
    program = "import trioreg\ntry:\n    import trioreg.telemetry\nexcept ImportError as error:\n    print(error)"
    assert (
        run_program(without("opentelemetry") + program)
        == 'trioreg.telemetry needs OpenTelemetry: pip install "trioreg[otel]"\n'
    )
