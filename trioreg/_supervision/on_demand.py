"""Actors on demand: `OnDemand`, whose addresses are always good. (`on_demand_supervisor.py` keeps the actors alive.)

An address finds the life that takes messages for its key in one step: one that is there, or a blank one that its first
message starts (`on_demand_lives.py`). So a message is put into exactly one mailbox, whatever happens at the same time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar, TypeVarTuple, cast

from trio.lowlevel import current_task

from .._actors import STOPPING, Actor, ActorRef, Address, RoomWait, waiting_for
from .._runtime import Identity, NotRegistered, NotRunning, items_of, show_methods_as, shown_whole, unhashable
from .on_demand_settings import CLOSING, NOT_OPEN, Settings

if TYPE_CHECKING:
    from .._actors import Cell
    from .._registry import Registry
    from .backoff import Backoff
    from .on_demand_lives import Lives
    from .restart_limit import RestartLimit

K = TypeVar("K", bound=Hashable)
A = TypeVar("A", bound=Actor)
A_co = TypeVar("A_co", covariant=True)
V = TypeVar("V")
Ts = TypeVarTuple("Ts")


class OnDemand(Identity, Generic[K, A]):
    """Actors that are started by their first message, end when they are idle, and are started again by the next one.

    Synopsis::

        carts: OnDemand[str, Cart] = OnDemand("carts", Cart, retire_after=300)

        async with open_on_demand(carts):  # or in a tree, with OnDemandSupervisor
            await carts.via("a-17").call(Cart.add, "tea", 2)

    The factory gets the key as its first argument. An address from `via` is always good, and no message ever meets the
    gap between two lives:

    - There are never two actors for one key. Ten thousand first messages at once start one.
    - A message that comes while the actor retires, or while it stops, goes to its next life. It is handled exactly
      once, and the messages of each sender stay in order. The next life begins when the last one has ended.
    - If an actor does not start, every caller that waits for it gets `ActorExited`, and nothing is left behind. If it
      crashes, the callers that wait then get `ActorExited`, too, as with any actor. It is not restarted: the next
      message starts it anew.

    An actor is idle while no message waits, no handler runs, and it owes no answer (`Reply`). Its background tasks, its
    timers and ``on_idle`` do not keep it: they end with the life. What must outlast a life, you save in ``on_stop`` and
    load in ``on_start``. The idea comes from the virtual actors of Orleans.

    Args:
        name: What the actors are called in errors, in the tree and in the log.
        factory: An `Actor` class, or a ``functools.partial`` of one.
        args: Its arguments behind the key.
        retire_after: After how many seconds without a message an actor ends; at most a tenth later. By default never.
        max_running: How many actors may run at once. For one more, the actor that was sent a message the longest time
            ago is asked to end, if it is idle. If none is idle, the start waits, and its messages with it. By default
            any number.
        shutdown: How long an actor may take to end: seconds, ``math.inf`` or ``"kill"``, as in `ChildSpec`. At the end
            of the supervisor, that is also the time to handle the messages that it has.
        backoff: How long after a crash the next message of the key has to wait for its actor. By default not at all.
        registry: The registry of the names. By default they have one of their own. The value beside a name is None,
            until the actor changes it with `Registry.update_value`, in ``on_start`` for example.
        limit: How often one key may be started again after a crash. Each key counts for itself. One crash more, and
            with ``then="drop"`` the messages of the key get `CrashedTooOften` until enough of its crashes are older
            than ``max_seconds``. With ``then="escalate"`` the supervisor gives up. By default any number of times.

    Raises:
        TypeError, ValueError: An argument is not what is said above.
    """

    _instead_of_pickling: ClassVar[str] = "make them at import time in each process"

    def __init__(
        self,
        name: str,
        factory: Callable[[K, *Ts], A],
        /,
        *args: *Ts,
        retire_after: float = math.inf,
        max_running: float = math.inf,
        shutdown: float | Literal["kill"] | None = None,
        backoff: Backoff | None = None,
        registry: Registry[K, V | None] | None = None,
        limit: RestartLimit | None = None,
    ) -> None:
        names = cast("Registry[K, None] | None", registry)  # each life registers None
        self._settings = Settings(name, factory, args, retire_after, max_running, shutdown, backoff, names, limit)
        self._table = self._settings.table
        self._lives: Lives | None = None
        self._running = Lock()
        self._address: type[_Address[Any]] = _Address if max_running == math.inf else _RankedAddress

    @property
    def name(self) -> str:
        """What they are called."""
        return self._settings.name

    @property
    def registry(self) -> Registry[K, None]:
        """The registry that the names are in.

        If you have given a registry with values, use your own variable: it has the type of the values.
        """
        return self._settings.registry

    def __repr__(self) -> str:
        return f"<OnDemand {self.name!r}, {len(self._table)} running>"

    def __len__(self) -> int:
        """How many keys have an actor now."""
        return len(self._table)

    def via(self, key: K) -> Address[A]:
        """The address of the actor for a key, whether it runs or not. Not a checkpoint; constant time.

        Any message starts the actor if it does not run. `~Address.wait`, `~Address.stop`, `~Address.cancel` and
        `~Address.kill` do not start it: they raise `NotRegistered` if it does not run. A message raises `NotRunning`
        while no supervisor runs these actors or it shuts down, `AlreadyRegistered` if another owner has the name, and
        `CrashedTooOften` if the limit is exceeded. What an actor casts to its own key during the shutdown is not
        refused: it counts as unhandled.

        Raises:
            TypeError: ``key`` is not hashable.
        """
        return self._address(self, key)

    def whereis(self, key: K) -> ActorRef[A] | None:
        """The reference of the actor that takes messages for a key now. None if none runs: this does not start one.

        While one life ends and the next one is waiting for that, it is the next one.

        Not a checkpoint; safe from any thread; constant time.

        Raises:
            TypeError: ``key`` is not hashable.
        """
        entry = self._table.get(key)
        return None if entry is None else cast("ActorRef[A]", entry[0])

    def items(self) -> list[tuple[K, ActorRef[A]]]:
        """The key and the reference of each actor that runs. Not a checkpoint; safe from any thread; the cost grows
        with their number."""
        return [(cast("K", key), cast("ActorRef[A]", entry[0])) for key, entry in items_of(self._table)]

    def _begin(self, lives: Lives) -> None:
        """A supervisor begins to run these actors. `RuntimeError` if another one does, in any thread."""
        with self._running:
            other = self._lives
            if other is not None and not other.is_over:
                raise RuntimeError(f"{self.name!r} is run by another supervisor already: only one at a time can run it")
            self._table.clear()  # something is left in it only after a fork, or if Trio itself has failed
            self._lives = lives

    def _accepting(self, key: Hashable) -> Cell:
        lives = self._lives
        if lives is None:
            raise NotRunning(self.name, NOT_OPEN)
        return lives.accepting(key)


class _Address(Address[A_co]):
    """The address of the actor for a key."""

    __slots__ = ("_key", "_on_demand", "_table")

    _instead_of_pickling: ClassVar[str] = "it leads to an actor of this process; pickle its key"
    _instead_of_naming: ClassVar[str] = ": send a message to it instead, the first one starts the actor"

    def __init__(self, on_demand: OnDemand[Any, Any], key: Hashable) -> None:
        try:
            hash(key)
        except TypeError as error:
            raise unhashable("key", key, error) from None
        self._on_demand = on_demand
        self._table: dict[Any, Any] | None = on_demand._table
        self._key: Hashable = key

    @property
    def key(self) -> Hashable:
        """The key."""
        return self._key

    def __repr__(self) -> str:
        return f"<via {self._on_demand.name} {shown_whole(self._key)}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Address):
            return NotImplemented
        address = cast("_Address[A_co]", other)
        return self._on_demand is address._on_demand and self._key == address._key

    def __hash__(self) -> int:
        return hash((id(self._on_demand), self._key))

    def _resolve(self) -> ActorRef[A_co]:
        ref = self._on_demand.whereis(self._key)
        if ref is None:
            raise NotRegistered(self._on_demand.name, self._key)
        return ref

    def _find(self) -> Cell:
        entry = self._on_demand._table.get(self._key)
        if entry is not None:
            cell = entry[0]._cell
            if cell is not None and cell.state < STOPPING:
                return cell
        return self._on_demand._accepting(self._key)

    # A message is never refused because a life is ending: there is always a next one.

    def _instead_of(self, cell: Cell | None) -> Cell:
        found = self._find()
        if found.state >= STOPPING:  # at the shutdown the caller itself: it can't answer any more
            raise NotRunning(self._on_demand.name, CLOSING)
        return found

    def _instead_of_closed(self, cell: Cell) -> Cell:
        return self._find()

    def _accepting(self) -> Cell:
        cell = self._find()
        cell.ref._require_thread()
        return cell

    async def _deliver(self, cell: Cell, kind: object, payload: object) -> None:
        while not cell.put_if_room(kind, payload):
            with waiting_for(cell, current_task(), RoomWait):
                if await cell.put_when_room(kind, payload):
                    return
            cell = self._find()  # that life has ended, or is asked to

    def _end(self, exit: Any) -> None:
        self._resolve()._end(exit)


class _RankedAddress(_Address[A_co]):
    """The address if there is a ``max_running``: the actor that was used the longest time ago has to be known."""

    __slots__ = ()

    def __init__(self, on_demand: OnDemand[Any, Any], key: Hashable) -> None:
        super().__init__(on_demand, key)
        self._table = None  # each message has to go through `_find`

    def _find(self) -> Cell:
        lives = self._on_demand._lives
        if lives is None:
            raise NotRunning(self._on_demand.name, NOT_OPEN)
        cell = lives.accepting(self._key)
        lives.touch(cell)
        return cell


show_methods_as("Address", _Address, _RankedAddress)
