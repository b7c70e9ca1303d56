"""Elixir's side: a process that runs programs, `peer.exs`."""

from __future__ import annotations

import shutil
import subprocess
from collections import deque
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, cast

from .program import Program
from .terms import Term
from .wire import decode


def find_elixir() -> str | None:
    return shutil.which("elixir")


class Elixir:
    """An Elixir that runs one program after the other: `send` the next, then `receive` the answers of the last.

    Attributes:
        command: What was started.
        version: Which Elixir, on which OTP.
    """

    def __init__(self, command: str) -> None:
        self.command = command
        peer = Path(__file__).with_name("peer.exs")
        self._process = subprocess.Popen(
            [command, "--erl", "-noinput", str(peer)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._running: deque[int] = deque()  # the seeds of the programs that it has
        self._to = cast("IO[bytes]", self._process.stdin)
        self._from = cast("IO[bytes]", self._process.stdout)
        try:
            self.version = self._frame().decode()
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Elixir:
        return self

    def __exit__(
        self, etype: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None, /
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def tried(self, source: str, *, unique: bool) -> Term:
        """What a piece of Elixir gives, in a process of its own, with a registry ``R`` of its own."""
        self._send(b"?" + (b"unique" if unique else b"duplicate") + b"\n" + source.encode())
        return decode(self._frame())

    def send(self, program: Program) -> None:
        self._running.append(program.seed)
        self._send(program.encoded())

    def receive(self) -> list[bytes]:
        """The answers of the program that was sent first, one for each operation."""
        frame = self._frame()
        self._running.popleft()
        answers: list[bytes] = []
        at = 0
        while at < len(frame):
            end = at + 4 + int.from_bytes(frame[at : at + 4], "big")
            answers.append(frame[at + 4 : end])
            at = end
        return answers

    def _send(self, frame: bytes) -> None:
        with suppress(BrokenPipeError):  # the next read says that Elixir has ended
            self._to.write(len(frame).to_bytes(4, "big") + frame)
            self._to.flush()

    def _frame(self) -> bytes:
        size = self._from.read(4)
        frame = self._from.read(int.from_bytes(size, "big"))
        if len(size) < 4 or len(frame) < int.from_bytes(size, "big"):
            where = f" in the program of seed {self._running[0]}" if self._running else ""
            raise EOFError(f"Elixir has ended{where}: what it wrote to stderr says why")
        return frame
