"""Who may look: the token in the first URL, the cookie that stands for it afterwards, and the tokens of forms.

A cookie is signed, so nothing is kept for a session. A form token is good for one action on one actor, in one session,
once. What is used up is remembered as long as it would be good.
"""

from __future__ import annotations

import hmac
import re
import secrets
from hashlib import sha256

FORM_SECONDS = 600.0
"""How long a form may stay open, in seconds."""

MOST_USED = 1000
"""How many used form tokens are remembered. More actions in that time are refused."""

BEARER = "bearer"
"""The session of a client that sends the token itself with each request."""

_TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,200}", re.ASCII)


class BadForm(ValueError):
    """A form that is not valid, or no more. The message says why."""


def require_token(token: object) -> str:
    """The token that the program gave, or a new one. `TypeError` or `ValueError` if it is no good one.

    The error does not show it.
    """
    if token is None:
        return secrets.token_urlsafe(24)
    if not isinstance(token, str):
        raise TypeError(f"token must be a str, or None for a random one, not {type(token).__name__}")
    if _TOKEN.fullmatch(token) is None:
        raise ValueError(
            f"token must have 16 to 200 characters, only letters, digits and -._~; this one has {len(token)} characters"
        )
    return token


class Sessions:
    """The sessions of one observer in one Trio run.

    Attributes:
        cookie: The name of the cookie. Two observers on one host, with other ports, share their cookies.
    """

    def __init__(self, token: str) -> None:
        self._token = token
        self._key = secrets.token_bytes(32)
        self.cookie: str = f"trioreg_observer_{secrets.token_hex(6)}"
        self._used: dict[str, float] = {}

    def knows(self, token: str) -> bool:
        """Whether that is the token. Takes as long for each wrong one."""
        return hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self._token.encode())

    def begin(self) -> str:
        """A new session: the value of its cookie."""
        session = secrets.token_urlsafe(12)
        return f"{session}.{self._sign('session', session)}"

    def of(self, cookie: str) -> str | None:
        """The session of a cookie. None if it is not one of ours."""
        session, _, signature = cookie.partition(".")
        return session if self._is_signed(signature, "session", session) else None

    def form_token(self, session: str, action: str, number: int, now: float) -> str:
        """A token for a form: good for this action on this actor in this session, once."""
        nonce, until = secrets.token_urlsafe(12), f"{now + FORM_SECONDS:.0f}"
        return f"{nonce}.{until}.{self._sign('form', session, action, str(number), nonce, until)}"

    def spend(self, form_token: str, session: str, action: str, number: int, now: float) -> None:
        """Use a form token up. `BadForm` if it is not good for this, or no more."""
        nonce, until, signature = [*form_token.split("."), "", ""][:3]
        if not self._is_signed(signature, "form", session, action, str(number), nonce, until):
            raise BadForm("the form is not valid for this action: open the page of the action again")
        self._used = {used: end for used, end in self._used.items() if end > now}
        if nonce in self._used:
            raise BadForm("the form has been used already: open the page of the action again")
        if float(until) <= now:
            raise BadForm("the form is too old: open the page of the action again")
        if len(self._used) >= MOST_USED:
            raise BadForm(f"more than {MOST_USED} actions in {FORM_SECONDS / 60:.0f} minutes: wait some minutes")
        self._used[nonce] = float(until)

    def _sign(self, *parts: str) -> str:
        text = "\0".join(parts).encode("utf-8", "surrogateescape")
        return hmac.new(self._key, text, sha256).hexdigest()

    def _is_signed(self, signature: str, *parts: str) -> bool:
        given = signature.encode("utf-8", "surrogateescape")
        return hmac.compare_digest(given, self._sign(*parts).encode())
