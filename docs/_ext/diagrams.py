"""The diagrams of the guides: how the parts of a program stand to each other, and what happens in which order."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from sketch import WIDTH, Sketch

MIDDLE = WIDTH / 2


def parts() -> Sketch:
    sketch = Sketch(
        "parts",
        "A supervisor starts and restarts three actors. The names in a registry lead to the same actors. A caller uses "
        "a name to reach an actor.",
    )
    actors = [("Bond", 8), ("M", 130), ("Q", 252)]
    bottom = sketch.box(110, 4, 140, ["supervisor"])
    sketch.text(258, 17, "starts and", "quiet", anchor="start")
    sketch.text(258, 31, "restarts them", "quiet", anchor="start")
    top = bottom + 50
    for name, x in actors:
        sketch.arrow([(MIDDLE, bottom), (x + 50, top)])
        sketch.box(x, top, 100, [name, "an actor"])
    names = top + 46 + 60
    for name, x in actors:
        sketch.arrow([(x + 50, names), (x + 50, top + 46)])
        sketch.box(x, names, 100, [f'`"{name}"`'], height=28)
    sketch.text(MIDDLE - 8, names - 24, "a name leads", "quiet", anchor="end")
    sketch.text(MIDDLE + 8, names - 24, "to its actor", "quiet", anchor="start")
    sketch.text(MIDDLE, names + 48, "registry", "strong")
    call = names + 92
    sketch.arrow([(58, call - 14), (58, names + 28)])
    sketch.text(8, call, 'via("Bond").call(...)', "code", anchor="start")
    return sketch


def life() -> Sketch:
    sketch = Sketch(
        "life",
        "The life of an actor: starting, running, stopping, ending, ended. A stop lets it handle what waits. A crash "
        "or a cancel goes straight to ending, and a kill straight to ended.",
    )
    states = {
        "starting": ["__init__, on_start", "it has its name"],
        "running": ["on_started, then messages", "one at a time"],
        "stopping": ["handles what waits", "takes nothing new"],
        "ending": ["on_stop", "it still has its name"],
        "ended": ["its names are gone"],
    }
    x, width, y = 8.0, 200.0, 4.0
    edges: dict[str, tuple[float, float]] = {}
    for state, lines in states.items():
        bottom = sketch.box(x, y, width, [f"`{state}`", *lines], "new" if state == "running" else "")
        edges[state] = (y, bottom)
        y = bottom + 34
    for above, below in pairwise(states):
        sketch.arrow([(x + 60, edges[above][1]), (x + 60, edges[below][0])])
    sketch.text(x + 70, edges["stopping"][0] - 12, "stop()", "code", anchor="start")
    start, end = edges["running"][0] + 20, edges["ending"][0] + 20
    sketch.arrow([(x + width, start), (250, start), (250, end), (x + width, end)])
    sketch.text(256, start + 60, "an error,", anchor="start")
    sketch.text(256, start + 76, "or cancel()", "code", anchor="start")
    start, end = edges["running"][0] + 40, edges["ended"][0] + 22
    sketch.arrow([(x + width, start), (228, start), (228, end), (x + width, end)], "wait")
    sketch.text(256, end - 6, "kill():", "code", anchor="start")
    sketch.text(256, end + 10, "no on_stop", "quiet", anchor="start")
    return sketch


def turn() -> Sketch:
    sketch = Sketch(
        "turn",
        "Two calls. If the actor is idle and the method is sync, the method runs in the turn of the caller. Else the "
        "message waits in the mailbox, the actor's task runs the method, and the caller waits.",
    )
    caller, actor = 90.0, 270.0

    def heading(y: float, title: str) -> float:
        sketch.text(MIDDLE, y + 14, title, "strong")
        sketch.text(caller, y + 38, "the caller's task", "quiet")
        sketch.text(actor, y + 38, "the actor's task", "quiet")
        sketch.text(8, y + 62, "call", "code", anchor="start")
        return y + 70

    y = heading(0, "idle actor, sync method")
    bottom = sketch.box(caller - 65, y, 130, ["deposit() runs", "in this turn"], "new")
    sketch.text(actor, y + 27, "sleeps on", "quiet")
    sketch.text(8, bottom + 20, "the answer, after one checkpoint", anchor="start")

    y = heading(bottom + 46, "busy actor, or async method")
    sketch.arrow([(40, y - 12), (actor - 70, y + 16)])
    bottom = sketch.box(actor - 65, y + 6, 130, ["deposit() runs", "when its turn comes"], "new")
    sketch.text(caller, y + 34, "waits", "quiet")
    sketch.arrow([(actor - 65, bottom - 6), (80, bottom + 18)])
    sketch.text(8, bottom + 24, "the answer", anchor="start")
    return sketch


def restart() -> Sketch:
    sketch = Sketch(
        "restart",
        "An actor crashes and is restarted. The name leads to the first life until the crash, and from then on to the "
        "second life. It is never free in between.",
    )
    sketch.text(8, 16, "time", "quiet", anchor="start")
    sketch.arrow([(40, 12), (352, 12)], "wait")
    sketch.text(8, 48, "the name", anchor="start")
    bottom = sketch.box(80, 30, 272, ['`"James Bond"`'], height=28)
    sketch.text(8, 112, "the actor", anchor="start")
    sketch.box(80, 94, 116, ["`Agent #1`", "state, mailbox"])
    sketch.box(216, 94, 136, ["`Agent #2`", "fresh state, empty"], "new")
    sketch.arrow([(138, bottom), (138, 94)])
    sketch.arrow([(284, bottom), (284, 94)])
    sketch.arrow([(196, 117), (216, 117)])
    sketch.text(206, 160, "crash: the next life has the name", "quiet")
    sketch.text(206, 176, "before its first line runs", "quiet")
    return sketch


def strategies() -> Sketch:
    sketch = Sketch(
        "strategies",
        "Four children were started in the order A, B, C, D, and B crashes. With one_for_one, B is restarted. With "
        "rest_for_one, B, C and D are restarted. With one_for_all, all four are restarted.",
    )
    y = 4.0
    for strategy, restarted in [("one_for_one", "B"), ("rest_for_one", "BCD"), ("one_for_all", "ABCD")]:
        sketch.text(8, y + 14, strategy, "code strong", anchor="start")
        for number, child in enumerate("ABCD"):
            lines = [child, "restarted" if child in restarted else "goes on"]
            if child == "B":
                lines = [child, "crashed,", "restarted"]
            sketch.box(8 + 88 * number, y + 24, 80, lines, "new" if child in restarted else "", height=62)
        y += 104
    sketch.text(8, y + 6, "A, B, C and D were started in this order; B crashes.", "quiet", anchor="start")
    return sketch


def overflow() -> Sketch:
    sketch = Sketch(
        "overflow",
        "A buffer of three messages is full, and a fourth is published. With error, 4 is lost, and the subscriber gets "
        "Overflow in its place. With drop_oldest, 1 is lost. With drop_newest, 4 is lost. With wait, publish waits "
        "until there is room.",
    )
    y = 4.0
    rules = [
        ("error", "1 2 3", "4 is lost: Overflow comes at its place"),
        ("drop_oldest", "2 3 4", "1 is lost, and counted"),
        ("drop_newest", "1 2 3", "4 is lost, and counted"),
        ("wait", "1 2 3", "publish waits until there is room"),
    ]
    for rule, kept, words in rules:
        sketch.text(8, y + 20, f'"{rule}"', "code strong", anchor="start")
        for number, message in enumerate(kept.split()):
            sketch.box(120 + 48 * number, y, 42, [message], "new" if message == "4" else "", height=30)
        if rule == "wait":
            sketch.arrow([(306, y + 15), (264, y + 15)], "wait")
            sketch.box(310, y, 42, ["4"], "gone", height=30)
        sketch.text(120, y + 48, words, "quiet", anchor="start")
        y += 66
    return sketch


DIAGRAMS: dict[str, Callable[[], Sketch]] = {
    draw.__name__: draw for draw in (parts, life, turn, restart, strategies, overflow)
}
