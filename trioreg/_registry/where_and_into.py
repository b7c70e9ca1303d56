"""The arguments ``where=`` and ``into=`` of a registry's queries: a condition, and the shape of a result."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from operator import itemgetter
from types import FunctionType
from typing import Any, cast

from .._runtime import require_sync, sync_result
from .compiled_pattern import Bound
from .pattern import ANY, Is, Var, deeper
from .pattern_code import FunctionBuilder, tuple_of


def compile_where(
    where: Callable[..., object] | None, names: tuple[str, ...]
) -> Callable[[object, Bound], bool] | None:
    """Turn ``where`` into a function of a matched value and of its pattern's variables.

    Args:
        where: Called with the variables as keyword arguments or, if there are none, with the value itself. Its
            exceptions go through. If it returns a coroutine, that is a `TypeError`.
        names: The pattern's variables.

    Returns:
        The function, or None if ``where`` is None.

    Raises:
        TypeError: ``where`` is not callable, is async, or does not take these arguments. (Some builtins do not tell
            which arguments they take.)
    """
    if where is None:
        return None
    _check_callable("where", where, names, positional=0 if names else 1)
    predicate = where
    if not names:

        def ask(value: object, bound: Bound) -> bool:
            answer = predicate(value)
            return answer is True or (answer is not False and bool(sync_result("where", predicate, answer)))

        return ask
    call = _by_keyword(predicate, names)

    def ask_by_name(value: object, bound: Bound) -> bool:
        answer = call(bound)
        return answer is True or (answer is not False and bool(sync_result("where", predicate, answer)))

    return ask_by_name


def compile_into(into: object, names: tuple[str, ...]) -> Callable[[tuple[Any, ...]], object]:
    """Turn ``into``, the shape of a result, into a function of a pattern's variables or, if there are none, of the row.

    Args:
        into: A callable (a class is one) that is called with the variables as keyword arguments or, if there are none,
            with the (key, owner, value) row. Or a template:
            tuples, named tuples, lists and dicts (keys too), nested as you like. In it a `Var` stands for its value,
            ``Is(value)`` for ``value``, and anything else for itself. Each result has its own lists and dicts.
        names: The pattern's variables.

    Raises:
        TypeError: A callable is async, or does not take these arguments.
        ValueError: A template has a variable that the pattern does not bind, or `ANY`; or it contains itself, or is
            nested more than 100 deep.
    """
    if callable(into):
        _check_callable("into", into, names, positional=0 if names else 1)
        return _by_keyword(into, names) if names else into
    code = FunctionBuilder()
    code.lines.append(f"return {_fill(into, names, code, ())}")
    return code.function("bound")


def _fill(template: object, names: tuple[str, ...], code: FunctionBuilder, path: tuple[object, ...]) -> str:
    """The expression that makes the value of a template."""
    if isinstance(template, Var):
        if template.name not in names:
            known = ", ".join(names) or "no variables"
            raise ValueError(f"into has {template!r}, which the pattern does not bind (it binds {known})")
        return f"bound[{names.index(template.name)}]"
    if template is ANY:
        raise ValueError("into has ANY, which is bound to nothing: give it a name with Var(), there and in the pattern")
    if isinstance(template, Is):
        return code.constant(template.value)
    if isinstance(template, tuple | list):
        sequence = cast("tuple[object, ...] | list[object]", template)
        inside = deeper("into", path, sequence)
        items = [_fill(item, names, code, inside) for item in sequence]
        if isinstance(sequence, list):
            return f"[{', '.join(items)}]"
        make = getattr(sequence, "_make", None)  # of a named tuple
        return tuple_of(items) if make is None else f"{code.constant(make)}({tuple_of(items)})"
    if isinstance(template, dict):
        mapping = cast("dict[object, object]", template)
        inside = deeper("into", path, mapping)
        pairs = [
            f"{_fill(key, names, code, inside)}: {_fill(value, names, code, inside)}" for key, value in mapping.items()
        ]
        return f"{{{', '.join(pairs)}}}"
    return code.constant(template)


def _check_callable(argument: str, function: Callable[..., object], names: tuple[str, ...], *, positional: int) -> None:
    require_sync(argument, function)
    try:
        # Not the signature of a wrapped function: a decorator may pass it more arguments, or fewer.
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):  # some builtins have no signature
        return
    try:
        signature.bind(*[None] * positional, **dict.fromkeys(names))
    except TypeError as error:
        if positional:
            given = "the value, or the row in a select," if argument == "where" else "the (key, owner, value) row"
            wanted = f"{given} as its only argument, since the pattern has no variables"
        else:
            wanted = f"the pattern's variables as keyword arguments ({', '.join(names)})"
        raise TypeError(f"{argument} must take {wanted}, and {function!r} does not: {error}") from None


def _by_keyword(function: Callable[..., object], names: tuple[str, ...]) -> Callable[[Bound], object]:
    """Call ``function`` with the variables as keyword arguments."""
    # If a plain function begins with just these parameters, they can be passed by position, in a third of the time.
    # (The signature of another callable does not tell enough.)
    if isinstance(function, FunctionType) and not function.__code__.co_posonlyargcount:
        parameters = function.__code__.co_varnames[: function.__code__.co_argcount][: len(names)]
        if parameters == names:
            return lambda bound: function(*bound)
        if len(names) > 1 and sorted(parameters) == sorted(names):
            in_order = cast("Callable[[Bound], Bound]", itemgetter(*map(names.index, parameters)))
            return lambda bound: function(*in_order(bound))
    return lambda bound: function(**dict(zip(names, bound, strict=True)))
