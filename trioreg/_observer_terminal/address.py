"""Where the program is: the URL that it prints, taken apart. The token never appears in a message."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import attrs

from .plain import plain

TOKEN_VARIABLE = "TRIOREG_OBSERVER_TOKEN"


class BadAddress(ValueError):
    """A URL or a token that cannot be right. The message says why, and does not show the token."""


@attrs.frozen
class Address:
    """The address of one observer.

    Attributes:
        scheme: ``"http"`` or ``"https"``.
        host: Its name or its IP address, without brackets.
        port: The port. None for the usual port of the scheme.
        prefix: Where the observer is mounted, as in ``"/admin/observer"``; ``""`` at the top.
        token: What lets us in.
    """

    scheme: str
    host: str
    port: int | None
    prefix: str
    token: str = attrs.field(repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return plain(f"{self.scheme}://{host}{port}{self.prefix}/")


def read_address(url: str, variable: str | None) -> Address:
    """The address in a URL. If it has no ``?token=``, the token is ``variable``."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
        if host is not None and (" " in host or not host.isprintable()):
            raise ValueError(host)
    except ValueError:
        raise BadAddress("URL must be the address that the program prints: this one cannot be read") from None
    if parts.scheme not in ("http", "https") or not host:
        raise BadAddress("URL must be the address that the program prints: http://HOST:PORT/?token=TOKEN")
    if parts.username is not None or parts.password is not None:
        raise BadAddress("URL must have no user name and no password")
    prefix = parts.path.rstrip("/")
    if not all("!" <= character <= "~" for character in prefix):
        raise BadAddress("URL must have a path in ASCII, without spaces: write other characters as %XX")
    tokens = parse_qs(parts.query).get("token", [])
    token = (tokens[-1] if tokens else variable or "").strip()
    if not token:
        raise BadAddress(f"URL must end with ?token=TOKEN, or the environment variable {TOKEN_VARIABLE} must be set")
    if not all("!" <= character <= "~" for character in token):
        raise BadAddress("the token must be as the program prints it: ASCII, without spaces")
    return Address(parts.scheme, host, port, prefix, token)
