"""``{house}`` and ``{house-files}`` for the docs: pictures of the package, and its files in their own words."""

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
    """The wings, as an SVG in the page itself: so it has the colours of the page's theme."""

    def run(self) -> list[nodes.Node]:
        try:
            return [nodes.raw("", drawing.draw(self.package()), format="html")]
        except house.HouseError as error:
            raise ExtensionError(f"{{house}}: {error}") from error


class Files(_OfThePackage):
    """Each wing, the top one first: what it is for, its files as a picture and as a table."""

    def run(self) -> list[nodes.Node]:
        shown: list[nodes.Node] = []
        try:
            for wing in reversed(house.read(self.package())):
                shown += self.parse_text_to_nodes(house.description(wing))
                shown.append(nodes.raw("", drawing.draw_files(wing), format="html"))
                shown += self.parse_text_to_nodes(house.table(wing))
        except house.HouseError as error:
            raise ExtensionError(f"{{house-files}}: {error}") from error
        return shown


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("house", Picture)
    app.add_directive("house-files", Files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
