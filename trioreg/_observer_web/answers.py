"""The answers that are not a page: errors as one plain sentence, and the headers that each answer has."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import PlainTextResponse

from .._observer import BadParam, NotThere

SECURITY: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not "no-referrer": with it, a browser says "Origin: null" when it sends a form.
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""On each answer. Without inline scripts and styles, a text that is not escaped could still do nothing."""


class Refused(Exception):
    """A request that is answered with an error.

    Args:
        status: The HTTP status.
        sentence: What is wrong, and what to do. It has no secret in it.
    """

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] = {}) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = headers


def plain(status: int, sentence: str, headers: Mapping[str, str] = {}) -> PlainTextResponse:
    """An answer that is one sentence."""
    return PlainTextResponse(f"{sentence}\n".encode("utf-8", "replace"), status, dict(headers))


def refused(error: BadParam | NotThere) -> Refused:
    """What a page could not do, as an answer."""
    return Refused(404 if isinstance(error, NotThere) else 400, f"{error}")
