"""The supervision tree as a picture: which boxes are shown, what is in each, and where it is drawn.

At most some 200 boxes are shown, however many actors there are (`branches.py`). What is open is said by the query, so a
view can be sent to a colleague.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, TypedDict

from .._runtime import text_of
from .branches import Branch, Lately, find, grow, in_order
from .layout import HEIGHT, WIDTH, Edge, Place, lay_out
from .pace import Pace
from .page import Page
from .rows import label_of, state_of
from .texts import Texts
from .unfolded import Unfolded, unfolded

if TYPE_CHECKING:
    from .._supervision import Child
    from .happenings import Happening
    from .observation import Observation
    from .params import Params

HAPPENED = 20
"""How many of the last happenings are shown."""

FLASH = 3.0
"""How many seconds a crash, a restart or a give-up is shown at its box."""

GONE = 10.0
"""How many seconds a supervisor that gave up, and is gone, keeps a box."""

SHORT = 24
"""How many characters of a label are in the box."""


class TreeNode(TypedDict):
    """One box.

    Attributes:
        id: Its place, as in ``"0.3.17"``: the number of each child from the top on. Of no child: ``"0.3.more"`` or
            ``"gone.5"``.
        parent: The id of the box that it hangs on, or None.
        level: How far from the top it is.
        kind: ``"supervisor"``, ``"actor"``, ``"more"`` (children that are not shown) or ``"gone"`` (a supervisor that
            gave up a moment ago).
        label: What it is called: its name, else its id, else ``"Cart #5"``.
        short: As much of that as there is room for.
        cls: Its class, or its function.
        path: The path of its supervisor.
        number: As in ``<Cart #5>``; None while it has no life.
        state: As `TreeChild.state`; ``"ended"`` for what is gone.
        restarts: How often it has been restarted.
        queued: How many messages wait in its mailbox.
        children: How many children it has; of ``"more"``: how many are not shown.
        is_open: Whether children are shown.
        flash: What happened to it a moment ago: ``"crash"``, ``"restart"``, ``"give_up"``, or empty.
        toggle: The query that folds or unfolds it; empty if it has no children.
        x, y, width, height: Where it is drawn.
    """

    id: str
    parent: str | None
    level: int
    kind: str
    label: str
    short: str
    cls: str
    path: str
    number: int | None
    state: str
    restarts: int
    queued: int
    children: int
    is_open: bool
    flash: str
    toggle: str
    x: float
    y: float
    width: float
    height: float


class TreePage(TypedDict):
    """The picture.

    Attributes:
        nodes: The boxes, from top to bottom: each one behind the one that it hangs on.
        edges: The lines.
        width, height: The size of the picture.
        q: The filter.
        matched: How many have the text of the filter; without one, how many there are.
        shown: How many of them have a box.
        total: How many supervisors and actors there are.
        opened, closed: The two lists of the query.
        happened: The last crashes, restarts and give-ups, the newest first.
    """

    nodes: list[TreeNode]
    edges: list[Edge]
    width: float
    height: float
    q: str
    matched: int
    shown: int
    total: int
    opened: str
    closed: str
    happened: list[Happening]


async def view(observation: Observation, params: Params) -> TreePage:
    """The data of the page. A checkpoint; in slices.

    The cost grows with the number of children of the supervisors that are open; with a filter, with all of them.
    """
    asked = unfolded(params)
    census = await observation.samples.census()
    total = census.supervisors + census.actors
    happenings, texts, pace = observation.happenings, Texts(), Pace()
    flashes, gave_up = happenings.lately(FLASH), happenings.gave_up_lately(GONE)
    if asked.q:
        root, matched = await find(observation.run, pace, asked, texts)
    else:
        lately = Lately(flashes, {path: number for path, (number, _) in gave_up.items()})
        root, matched = await grow(observation.run, pace, asked, lately), total
    gave_up_now = {path for path, (_, seconds) in gave_up.items() if seconds <= FLASH}
    boxes = _Boxes(asked, texts, flashes, gave_up_now)
    pairs = [(branch, above.node or None) for above, branch in in_order(root)]
    layout = lay_out([(branch.node, parent) for branch, parent in pairs])
    nodes: list[TreeNode] = []
    for branch, parent in pairs:
        nodes.append(boxes.node(branch, parent, layout.places[branch.node]))
        if pace.is_late():
            await pace.rest()
    return TreePage(
        nodes=nodes,
        edges=layout.edges,
        width=layout.width,
        height=layout.height,
        q=asked.q,
        matched=matched,
        shown=sum(node["kind"] in ("supervisor", "actor") for node in nodes),
        total=total,
        opened=",".join(asked.opened),
        closed=",".join(asked.closed),
        happened=happenings.last(HAPPENED, lives=False),
    )


class _Boxes:
    """Says what is in the boxes of one look."""

    def __init__(self, asked: Unfolded, texts: Texts, flashes: Mapping[int, str], gave_up: Container[str]) -> None:
        self._asked = asked
        self._texts = texts
        self._flashes = flashes
        self._gave_up = gave_up

    def node(self, branch: Branch, parent: str | None, place: Place) -> TreeNode:
        child, engine = branch.child, branch.engine
        supervisor = branch.supervisor
        node = TreeNode(
            id=branch.node,
            parent=parent,
            level=place.level,
            kind=branch.kind,
            label="",
            short="",
            cls="",
            path="" if supervisor is None else text_of(supervisor.label) or "",
            number=None,
            state="",
            restarts=0,
            queued=0,
            children=0,
            is_open=branch.is_open,
            flash="",
            toggle="",
            x=place.x,
            y=place.y,
            width=WIDTH,
            height=HEIGHT,
        )
        if branch.hidden:
            node["children"] = branch.hidden
            node["label"] = f"{branch.hidden:,} more"
        elif branch.gone:
            node["label"] = text_of(branch.gone.rpartition("/")[2]) or ""
            node["path"] = text_of(branch.gone.rpartition("/")[0]) or ""
            node["state"], node["flash"] = "ended", "give_up"
        elif child is not None:
            life, cell = child.life, child.cell
            node["label"] = self._title(child)
            node["cls"] = text_of(child.spec.kind.label) or ""
            node["number"] = None if life is None else life.ref._number
            node["state"] = state_of(child)
            node["restarts"] = child.restarts
            node["queued"] = 0 if life is None else life.queued
            node["flash"] = "" if cell is None else self._flashes.get(cell.ref._number, "")
        else:
            assert engine is not None
            node["label"] = text_of(engine.label) or ""
            node["cls"] = "supervisor"
            node["state"] = "ending" if engine.is_closing() else "running"
        if engine is not None:
            node["children"] = len(engine.children)
            if node["children"]:
                node["toggle"] = self._asked.toggle(branch.node, branch.is_open)
            if engine.label in self._gave_up:
                node["flash"] = "give_up"
        node["short"] = node["label"] if len(node["label"]) <= SHORT else f"{node['label'][: SHORT - 1]}…"
        return node

    def _title(self, child: Child) -> str:
        if child.spec.name is None and child.id is not None:
            return self._texts.name(child.id)
        return label_of(child, self._texts)


PAGE = Page("tree", "Tree", view, is_eager=True)
