"""The diagrams of the docs are drawn, can be read on a light and on a dark page, and stand where they help."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.docs_extension import load

DOCS = Path(__file__).parent.parent / "docs"

sketches = load("sketch")
diagrams = load("diagrams")

WORDS = {
    "parts": ["supervisor", '"Bond"', 'via("Bond").call(...)', "registry"],
    "life": ["starting", "running", "stopping", "ending", "ended", "stop()", "or cancel()", "no on_stop"],
    "turn": ["idle actor, sync method", "in this turn", "busy actor, or async method", "waits"],
    "restart": ['"James Bond"', "Agent #1", "Agent #2"],
    "strategies": ["one_for_one", "rest_for_one", "one_for_all", "restarted", "goes on"],
    "overflow": ['"error"', '"drop_oldest"', '"drop_newest"', '"wait"'],
}


def words(name: str) -> list[str]:
    drawing = ElementTree.fromstring(diagrams.DIAGRAMS[name]().svg())
    return [element.text or "" for element in drawing.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("name", diagrams.DIAGRAMS)
def test_a_diagram_has_its_words(name: str) -> None:
    assert [word for word in WORDS[name] if word not in words(name)] == []


@pytest.mark.parametrize("name", diagrams.DIAGRAMS)
def test_a_diagram_can_be_read_aloud(name: str) -> None:
    drawing = ElementTree.fromstring(diagrams.DIAGRAMS[name]().svg())
    assert drawing.get("role") == "img"
    assert len((drawing.get("aria-label") or "").split()) > 15


@pytest.mark.parametrize("name", diagrams.DIAGRAMS)
def test_a_diagram_has_no_colour_of_its_own(name: str) -> None:
    assert not re.search(
        r"#[0-9a-fA-F]{3,6}\b|rgb|black|white", re.sub(r"#[\w-]+\)", "", diagrams.DIAGRAMS[name]().svg())
    )


@pytest.mark.parametrize("name", diagrams.DIAGRAMS)
def test_a_diagram_is_in_a_guide(name: str) -> None:
    guides = "".join(page.read_text("utf-8") for page in DOCS.glob("*.md"))
    assert f"```{{diagram}} {name}\n" in guides


def test_strategies_show_which_children_are_restarted() -> None:
    restarted = [word for word in words("strategies") if word in ("restarted", "goes on")]
    assert [word == "restarted" for word in restarted] == [
        *(False, True, False, False),
        *(False, True, True, True),
        *(True, True, True, True),
    ]


def test_words_that_do_not_fit_into_their_box_are_an_error() -> None:
    sketch = sketches.Sketch("test", "")
    sketch.box(0, 0, 100, ["short"])
    with pytest.raises(sketches.SketchError, match="is wider than its box"):
        sketch.box(0, 0, 100, ["a long line of words"])


def test_words_that_do_not_fit_on_the_sheet_are_an_error() -> None:
    sketch = sketches.Sketch("test", "")
    with pytest.raises(sketches.SketchError, match="is wider than the sheet"):
        sketch.text(sketches.WIDTH - 10, 0, "too far right", anchor="start")
