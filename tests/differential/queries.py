"""What a registry is asked, at random, for both sides."""

# The terms have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import attrs

from trioreg import ANY, Is, Var

from .guards import random_guard, where_of
from .match_spec import Spec
from .terms import LEAVES, Names, Term, names_of, parts_of, random_pattern
from .wire import Slot


@attrs.frozen
class Query:
    """A pattern for a value, and a condition. The last two fields are Elixir's."""

    pattern: Term
    where: Callable[..., bool] | None
    guard: Term
    head: Term
    guards: list[Term]

    @classmethod
    def random(cls, rng: random.Random, values: Sequence[Term]) -> Query:
        pattern = random_pattern(rng, rng.choice(values), "abc")
        names = names_of(pattern)
        spec = Spec()
        head = spec.head(pattern)
        guard, where = None, None
        if names and rng.random() < 0.7:
            guard = random_guard(rng, names)
            where = where_of(rng, guard, names)
            spec.guards.append(spec.guard(guard))
        return cls(pattern, where, guard, head, spec.guards)


@attrs.frozen
class Selection:
    """Patterns for key, owner and value, a condition and the shape of a result. The last three fields are Elixir's."""

    key: Term
    owner: Term
    value: Term
    where: Callable[..., bool] | None
    guard: Term
    into: Term
    head: Term
    guards: list[Term]
    body: Term

    @classmethod
    def random(cls, rng: random.Random, keys: Sequence[Term], values: Sequence[Term], places: int) -> Selection:
        key = random_pattern(rng, rng.choice(keys), "abc")
        value = ANY if rng.random() < 0.2 else random_pattern(rng, rng.choice(values), "abc")
        owner = rng.choice([ANY, Var("o"), Slot(rng.randrange(places))])
        spec = Spec()
        head = (spec.head(key), spec.head(owner), spec.head(value))
        names = names_of((key, value))
        guard, where = None, None
        all_names = names_of((key, owner, value))
        if names and rng.random() < 0.5:
            guard = random_guard(rng, names)
            where = where_of(rng, guard, all_names)
            spec.guards.append(spec.guard(guard))
        into: Term = None
        if rng.random() < 0.3 and all(_is_plain(part) for part in (key, value)):
            # The row itself: Elixir needs a variable for each part of it.
            whole = tuple(
                [Var(f"row{number}") if part is ANY else part for number, part in enumerate((key, owner, value))]
            )
            head = (spec.head(whole[0]), spec.head(whole[1]), spec.head(whole[2]))
            body = spec.body(whole)
        else:
            template = random_template(rng, all_names)
            body = spec.body(template)
            into = Is(None) if template is None else template
            if isinstance(template, tuple) and all_names and rng.random() < 0.3:
                names_in = [item.name for item in template if isinstance(item, Var)]
                if len(names_in) == len(template):
                    into = into_of(names_in)
        return cls(key, owner, value, where, guard, into, head, spec.guards, body)


def into_of(names: Sequence[str]) -> Callable[..., tuple[Term, ...]]:
    """``into=`` as a function that makes a tuple of these variables."""

    def into(**bound: Term) -> tuple[Term, ...]:
        return tuple([bound[name] for name in names])

    return into


def _is_plain(part: Term) -> bool:
    """Whether a row can be made from it: a hole with a name, or a value without holes."""
    return part is ANY or isinstance(part, Var) or _is_value(part)


def _is_value(part: Term) -> bool:
    if part is ANY or isinstance(part, Var | Is | type | dict):
        return False
    return all(map(_is_value, parts_of(part)))


def random_template(rng: random.Random, names: Names, depth: int = 2) -> Term:
    if depth == 0 or rng.random() < 0.3:
        return Var(rng.choice(names)) if names and rng.random() < 0.8 else rng.choice(LEAVES)
    kind = rng.randrange(3)
    if kind == 0:
        return {key: random_template(rng, names, depth - 1) for key in rng.sample("abc", rng.randrange(4))}
    items = [random_template(rng, names, depth - 1) for _ in range(rng.randrange(4))]
    return items if kind == 1 else tuple(items)
