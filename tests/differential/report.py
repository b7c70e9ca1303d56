"""Says in words how a program differs."""

from __future__ import annotations

from .comparing import Mismatch
from .program import Operation, Program
from .terms import Term

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "register": ("owner", "key", "value"),
    "unregister": ("owner", "key"),
    "unregister_match": ("owner", "key", "query"),
    "update_value": ("owner", "key"),
    "lookup": ("key",),
    "whereis": ("key",),
    "keys": ("whose",),
    "values": ("whose", "key"),
    "count": (),
    "match": ("key", "query"),
    "count_match": ("key", "query"),
    "select": ("selection",),
    "count_select": ("selection",),
    "dispatch": ("key",),
    "put_meta": ("key", "value"),
    "meta": ("key",),
    "delete_meta": ("key",),
    "end": ("owner", "named"),
    "join": ("owner", "key", "value"),
    "leave": ("owner", "key"),
    "members": ("key",),
    "subscriptions": (),
    "publish": ("key", "value"),
    "publish_from": ("owner", "key", "value"),
    "publish_where": ("key", "value", "wanted"),
    "received": ("owner",),
    "end_of_subscriber": ("owner",),
}


def report(program: Program, found: Mismatch, *, each: int) -> str:
    """A program that differs, one line for each operation, and how to repeat it."""
    here, there = program.partitions
    lines = [
        f"trioreg and Elixir differ. Seed {program.seed}: what is left of {each:,} operations is {len(program)}.",
        f"  {program.kind}; partitions: {here} here, {there} in Elixir; {program.owners} owners"
        + (", each makes its own changes" if program.by_itself else ""),
    ]
    for number, operation in enumerate(program.steps(), 1):
        texts = [_text(program, operation, name) for name in ARGUMENTS[operation.name]]
        lines.append(f"  {number}. {operation.name}: {', '.join(texts)}")
    lines += [
        f"  trioreg answers {found.here!r}",
        f"  Elixir answers  {found.there!r}",
        f"Repeat it: nox -s differential -- --seed {program.seed} --operations {each} --each {each}",
    ]
    return "\n".join(lines)


def _text(program: Program, operation: Operation, name: str) -> str:
    """One argument of an operation."""
    if name == "owner":
        return f"owner {operation.place}"
    if name == "whose":
        return f"the {'former ' if operation.extra % 2 else ''}owner {operation.place}"
    if name == "key":
        return repr(operation.key)
    if name == "value":
        return repr(operation.value)
    if name == "named":
        return f"the next one is {operation.key!r}" if operation.extra // 4 % 2 else "the next one has no name"
    if name == "wanted":
        return f"where value is {program.values[operation.query % len(program.values)]!r}"
    if name == "query":
        query = program.queries[operation.query % len(program.queries)]
        return f"{query.pattern!r}{_condition(query.guard)}"
    assert name == "selection", name
    asked = program.selections[operation.query % len(program.selections)]
    return f"({asked.key!r}, {asked.owner!r}, {asked.value!r}) into {asked.into!r}{_condition(asked.guard)}"


def _condition(guard: Term) -> str:
    return "" if guard is None else f" if {guard!r}"
