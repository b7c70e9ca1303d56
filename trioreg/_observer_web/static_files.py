"""The style sheet, the scripts and the icon. They are read once: a request can't lead to any other file."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from starlette.responses import Response

from .answers import Refused

TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@cache
def static_files() -> dict[str, tuple[bytes, str]]:
    """The content and the type of each file, by its name."""
    folder = files("trioreg._observer_web") / "static"
    return {
        each.name: (each.read_bytes(), TYPES[each.name.rpartition(".")[2]])
        for each in folder.iterdir()
        if each.name.rpartition(".")[2] in TYPES
    }


def file_of(name: str) -> Response:
    found = static_files().get(name)
    if found is None:
        raise Refused(404, "There is no such file.")
    return Response(found[0], media_type=found[1])
