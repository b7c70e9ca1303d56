"""A page that is left open while very much happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from support.browsers import Observed, Opens


def used(page: Page) -> tuple[int, int]:
    """The nodes of the page, and the bytes of its heap without what is garbage."""
    session: Any = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    counters = session.send("Memory.getDOMCounters")
    heap = session.send("Runtime.getHeapUsage")
    session.detach()
    return int(counters["nodes"]), int(heap["usedSize"])


def test_a_page_left_open_over_a_thousand_restarts_a_second_stays_responsive(
    own_program: Observed, opens: Opens
) -> None:
    page = opens(own_program, "tree")
    expect(page.locator("#status")).to_have_text("Live")
    page.evaluate(
        """() => {
            window.looks = 0;
            document.getElementById("live").addEventListener("looked", () => (window.looks += 1));
        }"""
    )
    own_program.tell("storm")
    page.wait_for_function("() => window.looks >= 2")
    nodes, heap = used(page)
    restarts, looks = int(own_program.tell("restarts")), page.evaluate("window.looks")
    page.wait_for_function("least => window.looks >= least", arg=looks + 3)
    while int(own_program.tell("restarts")) < restarts + 1_000:
        page.wait_for_timeout(100)  # here the page goes on
    restarts_then, looks_then = int(own_program.tell("restarts")), page.evaluate("window.looks")
    nodes_then, heap_then = used(page)

    assert (looks_then - looks) * 10 < restarts_then - restarts  # many restarts are one look
    assert nodes_then < nodes + 2_000
    assert heap_then < heap + 5_000_000
    page.get_by_role("link", name="Actors", exact=True).click()  # and it answers
    expect(page.get_by_role("heading", level=1)).to_have_text("Actors")
    page.get_by_label("Filter").fill("James Bond")
    expect(page.locator("tbody tr")).to_have_count(1)
    own_program.tell("calm")
