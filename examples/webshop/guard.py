"""Other sites that are open in the browser of a customer: they can't shop."""

import ipaddress
import re

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class Guard:
    """An application that answers its own pages, and programs, but no other site.

    Any site can send a form to any address. Browsers say in the header ``Origin`` which site it is. A site can load a
    page of ours, as a picture or in a frame: ``Sec-Fetch-Site`` says so. It may have a link to us. And a site can give
    its own name the address 127.0.0.1 (DNS rebinding), so ``Host`` must be an IP address or one of our names.
    """

    def __init__(self, app: ASGIApp, names: set[str]) -> None:
        self.app = app
        self.names = {name.lower() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self.is_ours(Headers(scope=scope)):
            await self.app(scope, receive, send)
        else:
            text = "This request comes from another site, or the shop has no such name: see web_shop.py --help.\n"
            await PlainTextResponse(text, 403)(scope, receive, send)

    def is_ours(self, headers: Headers) -> bool:
        host = headers.get("host", "").lower()
        name = re.sub(r":\d+$", "", host).strip("[]")
        own = (None, f"http://{host}", f"https://{host}")  # None: a program, or a page that is only read
        is_own = headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        is_link = headers.get("sec-fetch-dest") == "document"
        return (name in self.names or is_address(name)) and headers.get("origin") in own and (is_own or is_link)


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
