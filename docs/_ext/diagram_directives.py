"""``{diagram} life`` for the docs: a diagram, drawn by the build."""

from __future__ import annotations

from typing import ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from diagrams import DIAGRAMS
from sketch import SketchError


class Diagram(SphinxDirective):
    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        (name,) = self.arguments
        try:
            svg = DIAGRAMS[name]().svg()
        except (KeyError, SketchError) as error:
            raise ExtensionError(f"{{diagram}} {name}: {error!r}") from error
        return [nodes.raw("", svg, format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("diagram", Diagram)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
