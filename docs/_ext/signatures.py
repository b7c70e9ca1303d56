"""The reference: members in the order in which its pages list them, signatures without private names, and below each
class the methods that it has from another public class."""

from __future__ import annotations

import inspect
import re
from itertools import groupby
from pathlib import Path
from typing import Any

import attrs
import trioreg
import trioreg.observer
import trioreg.testing
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.inspect import stringify_signature
from sphinx.util.logging import getLogger
from trioreg._actors import WaitingKind, WhyLeft
from trioreg._pool.strategy import StrategyName
from trioreg._registry.bound_tables import Purpose
from trioreg._supervision.child import ChildState
from trioreg._supervision.child_spec import Factory, Restart
from trioreg._supervision.restart_limit import Then
from trioreg._supervision.strategy import AutoShutdown, Strategy
from trioreg._supervision.tree import NodeState
from trioreg._testing.chaos import ChaosKind

logger = getLogger(__name__)

# You never make these yourself.
MADE_BY_TRIOREG = (
    trioreg.Address,
    trioreg.Feed,
    trioreg.Function,
    trioreg.Message,
    trioreg.Owner,
    trioreg.RegistryInfo,
    trioreg.RestartLimitExceeded,
    trioreg.TaskStream,
    trioreg.Timer,
    trioreg.TrioregError,
    trioreg.observer.ObserverApp,
)

# Their overloads are for type checkers. A reader needs the list of options, or the shape of the call.
SAID_ONCE = {"call", "cast", "on", "publish_nowait", "start_child", "start_or_get"}
MESSAGES = {
    "call": ("(method: Callable[[A, ...], R], /, *args, **kwargs)", "R"),
    "cast": ("(method: Callable[[A, ...], object], /, *args, **kwargs)", "None"),
    "cast_nowait": ("(method: Callable[[A, ...], object], /, *args, **kwargs)", "None"),
    "on": ("(method: Callable[[A, ...], R], /)", "Answers[..., R]"),
    "cast_after": ("(seconds: float, method: Callable[[Self, ...], object], /, *args, **kwargs)", "Timer"),
    "cast_every": ("(seconds: float, method: Callable[[Self, ...], object], /, *args, **kwargs)", "Timer"),
    "sent": ("(method: Callable[[A, ...], object], /, *args, **kwargs)", "Sent"),
}

# What type checkers read in the overloads, in a line. What is replaced has to be there.
STARTS = (
    ("factory: Callable[..., Any] | ", "factory: Callable[[*Ts], A] | "),
    ("*args: Any", "*args: *Ts"),
    ("ActorRef[Any]", "ActorRef[A]"),
)
STREAM = (("TaskStream[Any]", "TaskStream[R] | TaskStream[Outcome[T, R]]"),)
EXACT = {
    "start_child": STARTS,
    "start_or_get": STARTS,
    "open_partition_supervisor": (
        *STARTS[:2],
        ("Partitions[Any]", "Partitions[A]"),
        ("Supervisor[Any]", "Supervisor[A]"),
    ),
    "child": (
        ("factory: Callable[..., Any]", "factory: Callable[P, A]"),
        ("*args: Any, **kwargs: Any", "*args: P.args, **kwargs: P.kwargs"),
        ("ChildSpec[Any]", "ChildSpec[A]"),
    ),
    "open_pool": (
        ("name: str, factory: Callable[[*Ts], A]", "factory: Callable[[*Ts], A] | Pool[A]"),
        ("size: int,", "size: int, name: str | None = None,"),
        ("Pool[Any]", "Pool[A]"),
    ),
    "open_stream": STREAM,
    "Pool.map": (
        ("Callable[[A, T], Any]", "Callable[[A, T], R]"),
        ("Callable[[Any], Hashable]", "Callable[[T], Hashable]"),
        *STREAM,
    ),
    "Registry.via": (("of: type[Any]", "of: type[A]"), ("Via[K, V, Any]", "Via[K, V, A]")),
    "Registry.whereis": (("of: type[Any]", "of: type[A]"),),
    "Registry.refs": (("of: type[Any]", "of: type[A]"), ("ActorRef[Any]", "ActorRef[A]")),
}

# What stands in a signature, and what a reader needs to see there.
READABLE = {
    "Callable[[...]": "Callable[...",
    "Callable[[P], ": "Callable[P, ",
    "= inf": "= math.inf",
    "SupervisorBase": "Supervisor",
    "T_co": "T",
    "R_co": "R",
    "SpanAttributes": "Callable[[Message], Attributes]",
    "*_: object": "*args: object",
    "**__: object": "**kwargs: object",
    "= MISSING": "= ...",
    "= NO_KEY": "= ...",
    "= _KINDS": "= ('crash', 'kill', 'cancel', 'delay')",
    "= trio.TASK_STATUS_IGNORED": "= ...",
}
ALIASES = {
    name: re.sub(r"\b(typing|collections\.abc|trioreg(\.\w+)*)\.", "", str(alias))
    for name, alias in {
        "ActorState": trioreg.ActorState,
        "AutoShutdown": AutoShutdown,
        "ChaosKind": ChaosKind,
        "ChildState": ChildState,
        "Factory": Factory,
        "NodeState": NodeState,
        "Purpose": Purpose,
        "Restart": Restart,
        "Strategy": Strategy,
        "StrategyName": StrategyName,
        "Then": Then,
        "WaitingKind": WaitingKind,
        "WhyLeft": WhyLeft,
    }.items()
}
ALIAS = re.compile(rf"(?<![\w.])(?:{'|'.join(ALIASES)})\b")
NOT_PUBLIC = re.compile(r"~(?!trioreg\.[A-Za-z])(?:[\w.]+\.)?(\w+)")
PRIVATE = re.compile(r"trioreg\._|\*_|\b_[a-z]|\w+Base\b|= (?!ANY)[A-Z_]{3,}\b")
PARAMETER = re.compile(r":param (\S+): (.*)")
UNPACKED = re.compile(r"Unpack\[(\w+)\]")
MEMBERS: dict[str, list[str]] = {}
"""The members of each class, in the order of its page."""


def prepare_overloads(_: Sphinx) -> None:
    """Let autodoc see the overloads that a public class has from a private base: it looks under the public name."""
    public_names = [(trioreg, name) for name in trioreg.__all__]
    public_names += [(trioreg.testing, name) for name in trioreg.testing.__all__]
    for place, name in public_names:
        public = getattr(place, name)
        for base in public.__mro__ if isinstance(public, type) else ():
            for function in vars(base).values():
                module = str(getattr(function, "__globals__", {}).get("__name__", ""))
                if module.startswith("trioreg._"):
                    _rename(ModuleAnalyzer.for_module(module), base.__name__, name)


def order_members(app: Sphinx) -> None:
    """Autodoc sorts by the lines of the source, which say nothing here: a class takes its methods from many files."""
    pages = sorted((Path(app.confdir) / "reference").glob("*.md"))
    page = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    listed = re.compile(r"^\.\. autoclass:: (trioreg(?:\.[a-z]+)?)\.(\w+)(?:\(\))?\n +:members: (.+)$", re.MULTILINE)
    for module, name, members in listed.findall(page):
        analyzer = ModuleAnalyzer.for_module(module)
        analyzer.analyze()
        MEMBERS[name] = members.split(", ")
        for place, member in enumerate(MEMBERS[name]):
            analyzer.tagorder[f"{name}.{member}"] = place


def _rename(analyzer: ModuleAnalyzer, base: str, name: str) -> None:
    analyzer.analyze()
    for path, overloads in list(analyzer.overloads.items()):
        owner, _, method = path.partition(".")
        if method in SAID_ONCE:
            del analyzer.overloads[path]
        elif owner == base:
            analyzer.overloads[f"{name}.{method}"] = overloads


def readable(
    _: Sphinx, what: str, name: str, obj: Any, options: object, signature: str | None, result: str | None
) -> tuple[str, str | None] | None:
    """The signature to show; None if autodoc's own is right."""
    short = name.rpartition(".")[2]
    if what in ("class", "exception") and signature is not None:
        if issubclass(obj, MADE_BY_TRIOREG) or obj is trioreg.Actor:
            return "", None
        if issubclass(obj, trioreg.Actor):
            own = inspect.signature(obj.__init__)  # autodoc looks at `Actor.__new__`, which takes anything
            own = own.replace(parameters=list(own.parameters.values())[1:])
            return _readable(stringify_signature(own, show_return_annotation=False)), None
        if attrs.has(obj):
            for field in attrs.fields(obj):
                signature = signature.replace(f"attr_dict[{field.name!r}].default", repr(field.default))
            return _readable(signature), None
    if short in MESSAGES and what in ("method", "function"):
        return MESSAGES[short]
    if obj is trioreg.open_pool:  # its options are those of the class
        signature = stringify_signature(inspect.signature(trioreg.Pool), show_return_annotation=False)
    if signature is None:
        return None
    if "= SHOWN" in signature:
        signature = signature.replace("= SHOWN", f"= {obj.__kwdefaults__['limit']}")
    return _exact(name, _readable(signature), _readable(result or ""))


def _exact(name: str, signature: str, result: str) -> tuple[str, str | None]:
    """Both with the types that the overloads have."""
    *_, above, short = name.split(".")
    for found, shown in EXACT.get(f"{above}.{short}") or EXACT.get(short) or ():
        if result == "Never":
            break
        if found not in signature + result:
            logger.warning("%s has no %s any more: see EXACT", name, found)
        signature, result = signature.replace(found, shown), result.replace(found, shown)
    return signature, result or None


def _readable(text: str) -> str:
    for found, shown in READABLE.items():
        text = text.replace(found, shown)
    text = ALIAS.sub(lambda found: ALIASES[found[0]], NOT_PUBLIC.sub(r"\1", text))
    text = UNPACKED.sub(r"*\1", text)
    if PRIVATE.search(text):
        logger.warning("a signature has a private name: %s", text)
    return text


def mend_fields(_: Sphinx, what: str, name: str, obj: Any, options: object, lines: list[str]) -> None:
    """Put right what napoleon makes of our docstrings.

    The type of an attribute stands beside its name, as a reader expects, and not below its description. And a colon in
    the first sentence is a colon: napoleon takes what is before it for a type. But a type is in the signature.
    """
    shown: list[str] = []
    place = 0  # of the attribute, or of what is returned
    for line in lines:
        indent, field = line.partition(":")[::2]
        kind, said = field.partition(": ")[::2]
        if line.startswith((".. attribute::", ":returns:")) or not shown:
            place = len(shown)
        if kind == "type" and indent == "   ":
            shown.insert(place + 1, f"{indent}:type: {_readable(said)}")
        elif kind == "type" and what == "property":
            shown[0] = f"{said}: {shown[0]}"
        elif kind == "rtype" and not indent:
            shown[place] = shown[place].replace(":returns: ", f":returns: {said}: ")
        else:
            shown.append(line)
    lines[:] = _together(shown)


def _together(lines: list[str]) -> list[str]:
    """Parameters that a docstring describes together stand together: napoleon repeats the text for each of them."""
    parts: list[tuple[list[str], list[str]]] = []  # names of parameters, and the lines of their text
    for line in lines:
        if found := PARAMETER.match(line):
            parts.append(([found[1]], [found[2]]))
        elif parts and parts[-1][0] and line.startswith(" "):
            parts[-1][1].append(line)
        else:
            parts.append(([], [line]))
    shown: list[str] = []
    for (is_parameter, _), same in groupby(parts, key=lambda part: (bool(part[0]), [line.strip() for line in part[1]])):
        together = list(same)
        first, *more = together[0][1]
        if is_parameter:
            # Sphinx takes what is before a blank for a type, so there is none behind a comma.
            shown += [f":param {','.join(name for names, _ in together for name in names)}: {first}", *more]
        else:
            shown += [line for _, text in together for line in text]
    return shown


def show_inherited(_: Sphinx, what: str, name: str, obj: Any, options: object, lines: list[str]) -> None:
    """Below a class: what it has from another public class, each with its signature, its first sentence and a link."""
    if what != "class" or not name.startswith("trioreg."):
        return
    bases: tuple[type, ...] = obj.__mro__[1:]
    for base in bases:
        if base in (trioreg.Actor, trioreg.Instrument) or base.__name__ not in trioreg.__all__:
            continue
        members = [member for member in MEMBERS.get(base.__name__, ()) if getattr(obj, member) is getattr(base, member)]
        if not members:
            continue
        lines += ["", f"It also has these from :class:`~trioreg.{base.__name__}`:", ""]
        for member in members:
            lines.append(f"- {_short(base, member)}: {_first_sentence(getattr(base, member))}")
        lines.append("")


def _short(base: type, member: str) -> str:
    """A link whose text is the signature, without types."""
    function = getattr(base, member)
    target = f"trioreg.{base.__name__}.{member}"
    if isinstance(function, property):
        return f":attr:`{member} <{target}>`"
    parameters = list(inspect.signature(function).parameters.values())[1:]
    shown = ", ".join(str(one.replace(annotation=one.empty)) for one in parameters)
    awaited = "await " if inspect.iscoroutinefunction(function) else ""
    return f":meth:`{awaited}{member}({shown}) <{target}>`".replace("*", r"\*")


def _first_sentence(function: object) -> str:
    return " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split()).partition(". ")[0].rstrip(".") + "."


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", prepare_overloads)
    app.connect("builder-inited", order_members)
    app.connect("autodoc-process-signature", readable)
    app.connect("autodoc-process-docstring", mend_fields)
    app.connect("autodoc-process-docstring", show_inherited)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
