"""A page as HTML, made in slices: a long table does not hold the loop."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import jinja2
import trio

from .._observer import Pace
from .rendering import environment


class Html:
    """The templates. They are compiled once, in a thread, before the first page."""

    def __init__(self, templates: jinja2.Environment) -> None:
        self._templates = templates
        self._is_loaded = False

    async def load(self) -> None:
        """Compile all templates. To compile one takes longer than a slice. A checkpoint."""
        if self._is_loaded:
            await trio.lowlevel.checkpoint()
        else:
            await trio.to_thread.run_sync(self.load_now)

    def load_now(self) -> None:
        """Compile all templates, in this thread."""
        for name in self._templates.list_templates():
            self._templates.get_template(name)
        self._is_loaded = True

    async def render(self, name: str, data: Mapping[str, object]) -> str:
        """The text of a template. A checkpoint."""
        await self.load()
        template: jinja2.Template = self._templates.get_template(name)
        pace = Pace()
        pieces: list[str] = []
        for piece in template.generate(data):
            pieces.append(piece)
            if pace.is_over():
                await pace.rest()
        await pace.rest()
        return "".join(pieces)


@cache
def shipped_html() -> Html:
    """The templates of the package: one for the process, as it keeps what it has compiled."""
    return Html(environment())


def encoded(text: str) -> bytes:
    """For the client. A half of a surrogate pair, which can be in a name, becomes a question mark."""
    return text.encode("utf-8", "replace")
