"""trioreg's side: runs a program, and gives the answers as bytes, which `wire.py` writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from support.owners import staged

from .here_pubsub import pubsub_here
from .here_registry import HereRegistry
from .places import Answer, Places
from .program import STEP, Program
from .terms import Term
from .wire import encode

Step: TypeAlias = Callable[[int, Term, Term, int, int], Answer | Awaitable[Answer]]
"""An operation: the place of its owner, a key, a value, the number of a query, and something extra."""


async def run_here(program: Program) -> list[Answer]:
    """The answers of trioreg, one for each operation. An error that should not be is the last answer."""
    async with staged() as stage:
        places = Places(stage)
        if program.kind == "pubsub":
            async with pubsub_here(program, places) as pubsub:
                return await _run(program, [getattr(pubsub, name) for name in program.operations])
        await places.fill(program.owners)
        registry = HereRegistry(program, places)
        return await _run(program, [getattr(registry, name) for name in program.operations])


async def _run(program: Program, steps: list[Step]) -> list[Answer]:
    answers: list[Answer] = []
    keys, values, code, owners = program.keys, program.values, program.code, program.owners
    many_keys, many_values = len(keys), len(values)
    for at in range(0, len(code), STEP):
        step, owner, key, value, query, extra = code[at : at + STEP]
        try:
            answer = steps[step](owner % owners, keys[key % many_keys], values[value % many_values], query, extra)
            answers.append(answer if isinstance(answer, bytes) else await answer)
        except Exception as error:
            answers.append(encode((b"raised", f"{type(error).__name__}: {error}")))
            break
    return answers
