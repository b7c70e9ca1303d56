"""Which mutants there are: Cosmic Ray makes them, with three mutations of our own, and without those that say nothing.

Cosmic Ray knows the operators of Python and their neighbours. Its mutations of annotations, of assertions that narrow
a type, and of what only a type checker reads are left out: they change nothing at run time. So are most of its
exchanges of one binary operator for another: `a + b` becomes `a - b`, and not ten others that fall at the first test.
What it cannot do is leave out a statement, and a lost wake-up is a statement that is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import attrs

# Cosmic Ray and parso have no types. They are installed by `nox -s mutation` only.
OF_COSMIC_RAY = (
    "AddNot",
    "ExceptionReplacer",
    "NumberReplacer",
    "RemoveDecorator",
    "ReplaceAndWithOr",
    "ReplaceBinaryOperator_Add_Sub",
    "ReplaceBinaryOperator_BitAnd_BitOr",
    "ReplaceBinaryOperator_BitOr_BitAnd",
    "ReplaceBinaryOperator_BitXor_BitAnd",
    "ReplaceBinaryOperator_Div_Mul",
    "ReplaceBinaryOperator_FloorDiv_Mul",
    "ReplaceBinaryOperator_LShift_RShift",
    "ReplaceBinaryOperator_Mod_Add",
    "ReplaceBinaryOperator_Mul_Add",
    "ReplaceBinaryOperator_Pow_Mul",
    "ReplaceBinaryOperator_RShift_LShift",
    "ReplaceBinaryOperator_Sub_Add",
    "ReplaceBreakWithContinue",
    "ReplaceComparisonOperator_Eq_NotEq",
    "ReplaceComparisonOperator_GtE_Gt",
    "ReplaceComparisonOperator_Gt_GtE",
    "ReplaceComparisonOperator_IsNot_Is",
    "ReplaceComparisonOperator_Is_IsNot",
    "ReplaceComparisonOperator_LtE_Lt",
    "ReplaceComparisonOperator_Lt_LtE",
    "ReplaceComparisonOperator_NotEq_Eq",
    "ReplaceContinueWithBreak",
    "ReplaceFalseWithTrue",
    "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse",
    "ReplaceUnaryOperator_Delete_Not",
    "ReplaceUnaryOperator_Delete_USub",
    "ZeroIterationForLoop",
)
FOR_CHECKERS = {"final", "overload", "override", "runtime_checkable", "typing.overload", "typing.final"}
"""Decorators that change nothing that a test can see."""

ANNOTATED = {"annassign": 1, "tfpdef": -1}
"""Where the annotation is among the children of a node: of a name, and of a parameter."""

TURNED = {"is", "is not", "==", "!=", "in", "not in"}
"""Comparisons that an operator of their own turns round: `AddNot` would only do the same again."""


@attrs.frozen
class Mutant:
    """One change of one file.

    Attributes:
        file: The path below the project: `trioreg/_actors/cell.py`.
        operator: The name of the mutation.
        occurrence: Which of the places in the file where it is possible, from 0.
        start: The line and the column of the place.
        end: The line and the column where it ends.
        statement: The first and the last line of the statement that it is in, without the statements inside that one.
        function: The first and the last line of the function that it is in, or None at the level of a module or class.
        digest: Of the file's text: a mutant of a changed file is another mutant.
    """

    file: str
    operator: str
    occurrence: int
    start: tuple[int, int]
    end: tuple[int, int]
    statement: tuple[int, int]
    function: tuple[int, int] | None
    digest: str

    @property
    def name(self) -> str:
        """A name that no other mutant has."""
        return f"{self.file}:{self.operator}:{self.occurrence}:{self.digest}"

    @property
    def wing(self) -> str:
        """The wing, or the module of the roof, that the file belongs to: `_actors`, `debug.py`."""
        return self.file.split("/")[1]


class DeleteStatement:
    """A call, an assignment to an attribute or an item, a `raise` or a `del` is left out."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        if node.type == "simple_stmt" and function_of(node) is not None and does_something(node.children[0]):
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        put(node, 0, "pass")
        return node


class ReturnNone:
    """`return x` becomes `return None`."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        if node.type == "return_stmt" and node.children[1].get_code().strip() not in ("None", "NotImplemented"):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        put(node, 1, "None")
        return node


class TurnIn:
    """`x in y` becomes `x not in y`, and the other way round."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        for child in self._operators(node):
            yield child.start_pos, child.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        operator = list(self._operators(node))[index]
        now = "not in" if operator.get_code().strip() == "in" else "in"
        put(node, node.children.index(operator), now)
        return node

    def _operators(self, node: Any) -> Iterator[Any]:
        if node.type == "comparison":
            yield from (child for child in node.children[1::2] if child.get_code().split() in (["in"], ["not", "in"]))


OURS: dict[str, type[DeleteStatement | ReturnNone | TurnIn]] = {
    "DeleteStatement": DeleteStatement,
    "ReturnNone": ReturnNone,
    "TurnIn": TurnIn,
}


def operator_named(name: str) -> Any:
    """A mutation, which has the methods of Cosmic Ray's `Operator`."""
    if name in OURS:
        return OURS[name]()
    return import_module("cosmic_ray.plugins").get_operator(f"core/{name}")()


def mutants_of(root: Path, file: Path) -> Iterator[Mutant]:
    """Every mutant of a file of the project in the folder ``root``, in the order of the mutations."""
    text = file.read_text()
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    nodes = list(import_module("cosmic_ray.ast").ast_nodes(import_module("parso").parse(text)))
    for name in (*OF_COSMIC_RAY, *OURS):
        operator = operator_named(name)
        occurrence = -1
        for node in nodes:
            for start, end in operator.mutation_positions(node):
                occurrence += 1
                if is_at_run_time(node) and start < end and not is_vain(name, node):
                    place = (str(file.relative_to(root)), name, occurrence, start, end)
                    yield Mutant(*place, statement_lines(node), function_of(node), digest)


def mutated(text: str, mutant: Mutant) -> str | None:
    """The file's text with the mutation, or None if that is no Python."""
    mutate = import_module("cosmic_ray.mutating").mutate_code
    changed: str | None = mutate(text, operator_named(mutant.operator), mutant.occurrence)
    try:
        compile(changed or "(", mutant.file, "exec")
    except SyntaxError:
        return None
    return changed


def put(node: Any, index: int, code: str) -> None:
    """Put other code in the place of a child, after the same blanks. The lines that follow keep their numbers."""
    old = node.children[index]
    leaf = old.get_first_leaf()
    node.children[index] = import_module("parso.python.tree").Name(code, leaf.start_pos, leaf.prefix)
    for above in ancestors(node):
        if above.type == "simple_stmt":
            above.children[-1].value += "\n" * (old.end_pos[0] - old.start_pos[0])


def ancestors(node: Any) -> Iterator[Any]:
    """The node itself, and all nodes around it, from the inside out."""
    while node is not None:
        yield node
        node = node.parent


def does_something(statement: Any) -> bool:
    """Whether a statement has an effect that lasts: names of a function's own are found missing at once."""
    if statement.type == "expr_stmt":
        target = statement.children[0]
        assigns = statement.children[1].type != "annassign"
        return bool(assigns and target.type in ("atom_expr", "power"))
    if statement.type in ("atom_expr", "power"):
        return bool(statement.children[-1].type == "trailer" and statement.children[-1].children[0].value == "(")
    return bool(statement.type in ("raise_stmt", "del_stmt", "await_expr"))


def is_at_run_time(node: Any) -> bool:
    """Whether the place is more than an annotation, an assertion, or something for type checkers."""
    child = None
    for above in ancestors(node):
        if child is not None and above.type in ANNOTATED and child is above.children[ANNOTATED[above.type]]:
            return False
        if above.type == "funcdef" and (child is above.annotation or any(map(is_for_checkers, above.get_decorators()))):
            return False
        if above.type == "assert_stmt" or (above.type == "decorator" and is_for_checkers(above)):
            return False
        if above.type == "if_stmt" and above.children[1].get_code().strip() == "TYPE_CHECKING":
            return False
        if above.type == "expr_stmt" and is_type_variable(above):
            return False
        child = above
    # An alias of types at the level of the module: `Key = str | int`.
    return not (function_of(node) is None and getattr(node, "value", "") == "|")


def is_type_variable(statement: Any) -> bool:
    """Whether a statement is `T = TypeVar("T", ...)` or the like."""
    value = statement.children[-1]
    return bool(value.get_code().strip().startswith(("TypeVar(", "ParamSpec(", "TypeVarTuple(")))


def is_vain(name: str, node: Any) -> bool:
    """Whether another mutation does the same at that place, or no caller sees it: None is as false as False."""
    if name == "ReturnNone":
        return str(node.children[1].get_code()).strip() == "False"
    if name != "AddNot":
        return False
    condition = node.children[2 if node.type == "test" else 1]
    if condition.type == "comparison" and len(condition.children) == 3:
        return " ".join(condition.children[1].get_code().split()) in TURNED
    return bool(condition.type == "not_test")


def is_for_checkers(decorator: Any) -> bool:
    return str(decorator.children[1].get_code()).strip() in FOR_CHECKERS


def statement_lines(node: Any) -> tuple[int, int]:
    """The lines of the statement that a node is in; of a compound statement only its first line or lines."""
    for above in ancestors(node):
        if above.type == "simple_stmt":
            return above.start_pos[0], last_line(above)
        if above.type == "decorator":
            return above.start_pos[0], last_line(above)
        if above.type in ("if_stmt", "while_stmt", "for_stmt", "with_stmt", "try_stmt", "funcdef", "classdef"):
            return node.start_pos[0], last_line(node)
    return node.start_pos[0], last_line(node)


def last_line(node: Any) -> int:
    line: int
    line, column = node.end_pos
    return line - 1 if column == 0 else line


def function_of(node: Any) -> tuple[int, int] | None:
    """The lines of the innermost function whose body has the node; its decorators and defaults are outside of it."""
    child = None
    for above in ancestors(node):
        if above.type == "funcdef" and child is not None and child is above.children[-1]:
            return above.start_pos[0], last_line(above)
        child = above
    return None
