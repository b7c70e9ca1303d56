"""The reference page: members in the order in which the page lists them, and signatures without private names."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import attrs
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.inspect import stringify_signature

import trioreg

# You never make these yourself.
MADE_BY_TRIOREG = (
    trioreg.Address,
    trioreg.Owner,
    trioreg.Timer,
    trioreg.TaskStream,
    trioreg.Function,
    trioreg.TrioregError,
    trioreg.RestartLimitExceeded,
)

# Their overloads are for type checkers. A reader needs the list of options, or the shape of the call.
SAID_ONCE = {"call", "cast", "start_child", "start_or_get"}
MESSAGES = {
    "call": ("(method: Callable[[A, ...], R], /, *args, **kwargs)", "R"),
    "cast": ("(method: Callable[[A, ...], object], /, *args, **kwargs)", "None"),
    "cast_nowait": ("(method: Callable[[A, ...], object], /, *args, **kwargs)", "None"),
}


def prepare_overloads(_: Sphinx) -> None:
    """Let autodoc see the overloads that a public class has from a private base: it looks under the public name."""
    for name in trioreg.__all__:
        public = getattr(trioreg, name)
        for base in public.__mro__ if isinstance(public, type) else ():
            for function in vars(base).values():
                module = str(getattr(function, "__globals__", {}).get("__name__", ""))
                if module.startswith("trioreg._"):
                    _rename(ModuleAnalyzer.for_module(module), base.__name__, name)


def order_members(app: Sphinx) -> None:
    """Autodoc sorts by the lines of the source, which say nothing here: a class takes its methods from many files."""
    analyzer = ModuleAnalyzer.for_module("trioreg")
    analyzer.analyze()
    pages = sorted((Path(app.confdir) / "reference").glob("*.md"))
    page = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    for name, members in re.findall(r"^\.\. autoclass:: trioreg\.(\w+)\n +:members: (.+)$", page, re.MULTILINE):
        for place, member in enumerate(members.split(", ")):
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
            return stringify_signature(own, show_return_annotation=False), None
        if attrs.has(obj):
            for field in attrs.fields(obj):
                signature = signature.replace(f"attr_dict[{field.name!r}].default", repr(field.default))
            return signature, None
    return MESSAGES.get(short) if what == "method" else None


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", prepare_overloads)
    app.connect("builder-inited", order_members)
    app.connect("autodoc-process-signature", readable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
