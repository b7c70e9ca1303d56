"""HTTP to one observer, by the standard library. What it gives is data or an error with one sentence.

The token goes to the host of the URL and nowhere else: no redirect is followed and no proxy is used.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias, cast
from urllib.parse import urlencode, urlsplit

from .address import Address
from .plain import plain

Answer: TypeAlias = dict[str, Any]
"""The data of one page."""

QUIET = 5.0
"""How many seconds the program may send nothing. `look.py` bounds the whole answer."""

STREAM_QUIET = 60.0
"""How many seconds a live stream may be silent. The program gives a sign of life more often."""

LARGEST = 8 * 2**20
"""The most bytes that an answer may have."""

LARGEST_ERROR = 20_000
"""How many bytes are read of an error."""


class NoAnswer(Exception):
    """The program gives no answer that can be used. The message is one sentence, safe to print."""


class Gone(NoAnswer):
    """Nothing listens at the address, or it hangs up."""


class Denied(NoAnswer):
    """The token is wrong, or the observer does not want to be called by this name."""


class Refused(NoAnswer):
    """The observer does not take an argument."""


class Connection:
    """One connection to an observer, for one look or one stream. Use it in one thread; `abandon` is for another."""

    def __init__(self, address: Address, *, quiet: float = QUIET) -> None:
        self._address = address
        self._quiet = quiet
        self._is_abandoned = False
        self._socket: socket.socket | None = None
        if address.scheme == "https":
            context = ssl.create_default_context()
            self._http: http.client.HTTPConnection = http.client.HTTPSConnection(
                address.host, address.port, timeout=quiet, context=context
            )
        else:
            self._http = http.client.HTTPConnection(address.host, address.port, timeout=quiet)

    def get_all(self, wanted: Mapping[str, Mapping[str, str]]) -> dict[str, Answer]:
        """Ask for pages, each with its parameters, and hang up. It blocks. It raises `NoAnswer`."""
        try:
            return {name: self._get(name, params) for name, params in wanted.items()}
        finally:
            self._http.close()

    def follow(self, name: str) -> None:
        """Open the live stream of a page and read it until it ends: so long, the program takes its samples.

        It blocks. What the stream brings is thrown away. It raises `NoAnswer`.
        """
        try:
            with self._errors():
                response = self._ask(f"/live/{name}", "text/event-stream")
                if response.status != 200:
                    raise self._error(response, response.read(LARGEST_ERROR))
                while response.read1(65536):
                    pass
        finally:
            self._http.close()

    def abandon(self) -> None:
        """Nobody wants the answers any more: a request that is under way ends with an error."""
        self._is_abandoned = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _get(self, name: str, params: Mapping[str, str]) -> Answer:
        with self._errors():
            response = self._ask(f"/api/{name}" + (f"?{urlencode(params)}" if params else ""), "application/json")
            body = response.read(LARGEST + 1)
            is_short = bool(response.length)
        if len(body) > LARGEST:
            raise NoAnswer(f"{self._address} answers with more than {LARGEST // 2**20} MiB")
        if is_short:
            raise Gone(f"{self._address} has hung up before its answer was whole")
        if response.status == 200:
            return self._data(body)
        raise self._error(response, body)

    def _ask(self, path: str, accept: str) -> http.client.HTTPResponse:
        if self._is_abandoned:
            raise ConnectionAbortedError("nobody wants the answer")
        headers = {"Authorization": f"Bearer {self._address.token}", "Accept": accept}
        self._http.request("GET", self._address.prefix + path, headers=headers)
        self._socket = self._http.sock  # the response takes it away
        return self._http.getresponse()

    @contextmanager
    def _errors(self) -> Generator[None]:
        """What goes wrong in the block is a `NoAnswer`."""
        address = self._address
        try:
            yield
        except TimeoutError:
            raise NoAnswer(f"{address} does not answer: it has sent nothing for {self._quiet:g} seconds") from None
        except ssl.SSLError as error:
            if error.reason == "WRONG_VERSION_NUMBER":
                raise NoAnswer(f"{address} does not speak HTTPS: does its URL begin with http://?") from None
            raise NoAnswer(f"{address} cannot be trusted: {_reason(error)}") from None
        except ConnectionError as error:
            raise Gone(f"Nothing answers at {address}: {_reason(error)}") from None
        except OSError as error:
            raise NoAnswer(f"{address} cannot be reached: {_reason(error)}") from None
        except http.client.IncompleteRead:
            raise Gone(f"{address} has hung up before its answer was whole") from None
        except (http.client.HTTPException, ValueError) as error:
            raise NoAnswer(f"{address} is no observer: its answer is not HTTP ({_reason(error)})") from None

    def _data(self, body: bytes) -> Answer:
        try:
            data: object = json.loads(body)
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            raise NoAnswer(f"{self._address} is no observer: its answer is no JSON object")
        return cast("Answer", data)

    def _error(self, response: http.client.HTTPResponse, body: bytes) -> NoAnswer:
        address, status, said = self._address, response.status, _said(body)
        if status == 401:
            return Denied(f"{address} does not take this token: use the URL that the program printed at its last start")
        if status in (403, 421):
            return Denied(f"{address} does not let us in{said}")
        if status == 400:
            return Refused(f"{address} does not take an argument{said}")
        if status == 404 and not said:
            return NoAnswer(f"There is no observer at {address}: use the URL that the program prints")
        if 300 <= status < 400:
            other = urlsplit(response.headers.get("Location", ""))
            where = plain(f"{other.scheme}://{other.netloc}{other.path}") if other.netloc else plain(other.path)
            return NoAnswer(f"{address} sends us to {where or 'another address'}, and the token must not go there")
        return NoAnswer(f"{address} answers with status {status}{said}")


def _reason(error: Exception) -> str:
    """What the system says of an error, in lower case as inside of a sentence."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    text = plain(text or type(error).__name__)
    return text[:1].lower() + text[1:]


def _said(body: bytes) -> str:
    """What the program says of an error: the text in JSON, or a short plain text."""
    text = body[:2000].decode("utf-8", "replace").strip()
    with suppress(ValueError, RecursionError):
        data = json.loads(body[:LARGEST_ERROR])
        if isinstance(data, dict):
            fields = cast("dict[str, object]", data)
            text = next((str(value) for value in fields.values() if isinstance(value, str)), "")
    return f": {plain(text)}" if text and not text.startswith("<") else ""
