"""Where the observer listens, and under which names a browser may ask for it.

A page of another site can send a browser to any address, also to ``127.0.0.1``, under a name that belongs to that site
(DNS rebinding). The header ``Host`` has that name. So only known names are answered.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import socket
from collections.abc import Iterable
from typing import TypeAlias

import attrs
import trio

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

EXAMPLE = '"127.0.0.1:4001", "[::1]:4001" or "localhost:4001"'

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::(?P<port>[0-9]{1,5}))?", re.ASCII)

BACKLOG = 100
"""How many connections wait in the system until they are accepted."""


@attrs.frozen
class Bind:
    """An address and a port to listen on.

    Attributes:
        text: As it was given.
        host: A name, or an IP address without brackets.
        port: 0: the system chooses one.
        argument: The name of the argument that it was given as, for errors.
    """

    text: str
    host: str
    port: int
    argument: str = attrs.field(default="bind", eq=False)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it, as far as the text says."""
        return self.host == "localhost" or is_loopback(self.host)


def parse_bind(bind: object, argument: str = "bind") -> Bind:
    """An address and a port, as text. `TypeError` or `ValueError` if it is not."""
    if not isinstance(bind, str):
        raise TypeError(f"{argument} must be a str with an address and a port, as in {EXAMPLE}, not {bind!r}")
    found = _HOST.fullmatch(bind.lower())
    name = "" if found is None else found["name"]
    port = None if found is None else found["port"]
    if port is None or int(port) > 65535 or (name.startswith("[") and address_of(name) is None):
        raise ValueError(f"{argument} must be an address and a port, as in {EXAMPLE}, not {bind!r}")
    return Bind(bind, name.strip("[]"), int(port), argument)


def require_loopback(bind: Bind, allow_remote: bool) -> None:
    """`ValueError` if other machines reach the address, and that is not wanted."""
    if not allow_remote and not bind.is_loopback:
        raise ValueError(
            f"{bind.argument} must be a loopback address such as 127.0.0.1, not {bind.text!r}: other machines could "
            "reach it. With allow_remote=True of trioreg.observer.serve or Observer they can, over unencrypted HTTP"
        )


async def listen(bind: Bind, allow_remote: bool) -> list[trio.SocketListener]:
    """Listen there. A checkpoint.

    Raises:
        ValueError: The name leads to another machine's network, and ``allow_remote`` is false.
        OSError: It can't listen there. The message has the address.
    """
    listeners: list[trio.SocketListener] = []
    try:
        found = await trio.socket.getaddrinfo(bind.host, bind.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        addresses = list(dict.fromkeys((family, str(where[0])) for family, _, _, _, where in found))
        for _, address in addresses:
            require_loopback(attrs.evolve(bind, host=address), allow_remote)
        port = bind.port
        for family, address in addresses:  # several for a name: "localhost" is also an IPv6 address
            try:
                listener = await _listen(family, address, port)
            except OSError as error:
                is_last = (family, address) == addresses[-1]
                if error.errno not in _NOT_HERE or (is_last and not listeners):
                    raise
                continue
            listeners.append(listener)
            port = listener.socket.getsockname()[1]
    except BaseException as error:
        for listener in listeners:
            listener.socket.close()
        if not isinstance(error, OSError):
            raise
        hint = ". Choose another port, or port 0 for one that is free" if error.errno == errno.EADDRINUSE else ""
        text = f"the observer can't listen on {bind.text}: {error.strerror or error}{hint}"
        raise OSError(error.errno, text) from None
    return listeners


_NOT_HERE = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)
"""The machine has no such address, as where IPv6 is switched off."""


async def _listen(family: int, address: str, port: int) -> trio.SocketListener:
    made = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name != "nt":  # pragma: no branch  # on Windows it would mean: share the port with others
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        await made.bind((address, port))
        made.listen(BACKLOG)
        return trio.SocketListener(made)
    except BaseException:
        made.close()
        raise


def address_of(text: str) -> Address | None:
    """An IP address, with brackets or without. None if the text is a name."""
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


def is_loopback(text: str) -> bool:
    address = address_of(text)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and address.is_loopback


def url_of(bind: Bind, listener: trio.SocketListener) -> str:
    """The address in a browser: the name that was given, and the port that was chosen."""
    port: int = listener.socket.getsockname()[1]
    host = bind.host
    address = address_of(host)
    if address is not None and address.is_unspecified:
        host = "::1" if address.version == 6 else "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Hosts:
    """The values of the header ``Host`` that are answered.

    Args:
        hosts: Names that the program gave, each with a port or without (then with any port).
        own: Names with ports under which the server itself listens. None: it is not known. Then ``localhost`` and
            each IP address are answered, with any port: no other site can have such a name.
    """

    def __init__(self, hosts: Iterable[str], own: Iterable[str] | None = None) -> None:
        self._hosts = require_hosts(hosts)
        self._own = None if own is None else frozenset(own)

    def allows(self, host: str) -> bool:
        """Whether that is one of them."""
        host = host.lower()
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        if host in self._hosts or found["name"] in self._hosts:
            return True
        if self._own is None:
            return found["name"] == "localhost" or address_of(found["name"]) is not None
        return (host if found["port"] else f"{host}:80") in self._own


def require_hosts(hosts: Iterable[str]) -> frozenset[str]:
    """`TypeError` or `ValueError` unless each one is a host as a browser sends it."""
    if isinstance(hosts, str) or not isinstance(hosts, Iterable):
        raise TypeError(f'hosts must be several names, as in ("observer.example.org",), not {hosts!r}')
    found: set[str] = set()
    for host in hosts:
        if not isinstance(host, str):
            raise TypeError(f"hosts must be names, not {host!r}")
        if _HOST.fullmatch(host.lower()) is None:
            raise ValueError(f'hosts must be names as in "observer.example.org" or "10.0.0.5:4001", not {host!r}')
        found.add(host.lower())
    return frozenset(found)


def hosts_of(bind: Bind, listeners: Iterable[trio.SocketListener]) -> frozenset[str] | None:
    """The names under which these listeners are known. None if they are at each address of the machine."""
    address = address_of(bind.host)
    if address is not None and address.is_unspecified:
        return None
    found: set[str] = set()
    for listener in listeners:
        where, port = listener.socket.getsockname()[:2]
        names = {bind.host, where}
        if bind.is_loopback:
            names.add("localhost")
        found.update(f"[{name}]:{port}" if ":" in name else f"{name}:{port}" for name in names)
    return frozenset(found)
