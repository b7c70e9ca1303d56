"""The supervision tree as lines with guides. Its nodes come in the order in which the program lists them."""

from __future__ import annotations

from rich.text import Text

from .lines import cut
from .plain import count
from .record import Record

_FLASHES = {
    "crash": ("crashed", "bold red"),
    "restart": ("restarted", "bold green"),
    "give_up": ("gave up", "bold red"),
}


def tree_lines(data: Record, width: int) -> list[Text]:
    """One line for each node, without recursion: a tree can have more levels than the stack."""
    below: dict[str, list[Record]] = {}
    nodes = data.records("nodes")
    known = {node.text("id") for node in nodes}
    tops: list[Record] = []
    for node in nodes:
        parent = node.text("parent")
        (below.setdefault(parent, []) if parent in known else tops).append(node)
    lines: list[Text] = []
    waiting = [(node, "", "") for node in reversed(tops)]
    while waiting:
        node, guide, rest = waiting.pop()
        guide = _cut_guide(guide, width)
        lines.append(cut(Text.assemble((guide, "dim"), _node(node, width - len(guide))), width))
        children = below.pop(node.text("id"), [])  # no node is gone through twice, whatever the answer says
        rest = rest[-width:]
        for index, child in reversed(list(enumerate(children))):
            is_last = index == len(children) - 1
            waiting.append((child, rest + ("└─ " if is_last else "├─ "), rest + ("   " if is_last else "│  ")))
    return lines or [
        Text(f'Nothing in the tree has "{data.text("q")}".' if data.text("q") else "The tree is empty.", "dim")
    ]


def _cut_guide(guide: str, width: int) -> str:
    """The end of a guide that would leave no room for the node."""
    longest = max(3, width // 2)
    return guide if len(guide) <= longest else "…" + guide[1 - longest :]


def _node(node: Record, width: int) -> Text:
    """A label and what is to be said of it. A label that is too long is cut, so that the rest can be seen."""
    kind, about = node.text("kind"), _about(node)
    style = {"more": "italic dim", "gone": "red strike", "supervisor": "bold"}.get(kind, "")
    label = Text(node.text("label"), style)
    return cut(label, max(12, width - about.cell_len)) + about


def _about(node: Record) -> Text:
    """The class and the number, and whatever is out of the ordinary."""
    kind, cls, number = node.text("kind"), node.text("cls"), node.number("number")
    text = Text()
    if kind == "more":
        return text
    if number is not None and not node.text("label").endswith(f"#{number:.0f}"):
        text.append(f"  {cls} #{number:.0f}" if cls else f"  #{number:.0f}", "dim")
    if (children := node.whole("children")) and not node.flag("is_open"):
        text.append(f"  {count(children)} {'child' if children == 1 else 'children'}", "cyan")
    if kind == "gone":
        return text.append("  gave up", "bold red")
    flash, style = _FLASHES.get(node.text("flash"), ("", ""))
    if flash:
        text.append(f"  {flash}", style)
    if node.text("state") not in ("running", ""):
        text.append(f"  {node.text('state')}", "yellow")
    if node.whole("queued"):
        text.append(f"  {count(node.number('queued'))} queued", "yellow")
    if restarts := node.whole("restarts"):
        text.append(f"  {count(restarts)} {'restart' if restarts == 1 else 'restarts'}", "dim")
    return text
