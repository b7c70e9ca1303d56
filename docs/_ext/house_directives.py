"""``{house}`` and ``{house-files}`` for the docs: the picture of the package, and its files in their own words."""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

import drawing
import house


class _OfThePackage(SphinxDirective):
    """What both share: where the package is, and that the page depends on all of its files."""

    def package(self) -> Path:
        package = Path(self.env.app.confdir).parent / "trioreg"
        for path in package.rglob("*.py"):
            self.env.note_dependency(str(path))
        return package


class Picture(_OfThePackage):
    """The picture, as an SVG in the page itself: so it has the colours of the page's theme."""

    def run(self) -> list[nodes.Node]:
        try:
            return [nodes.raw("", drawing.draw(self.package()), format="html")]
        except house.HouseError as error:
            raise ExtensionError(f"{{house}}: {error}") from error


class Files(_OfThePackage):
    """A table of the files of each wing."""

    def run(self) -> list[nodes.Node]:
        try:
            text = house.tables(self.package())
        except house.HouseError as error:
            raise ExtensionError(f"{{house-files}}: {error}") from error
        return self.parse_text_to_nodes(text)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("house", Picture)
    app.add_directive("house-files", Files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
