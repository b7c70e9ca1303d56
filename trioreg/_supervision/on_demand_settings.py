"""What an `OnDemand` is made with, checked, and how each of its lives is started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from .._registry import Registry, Via
from .._runtime import SECONDS, require_count, require_number
from .backoff import Backoff
from .child_spec import ChildSpec, spec_like

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from .._actors import ActorRef
    from .restart_limit import RestartLimit

# Why a message is refused: `NotRunning`.
NOT_OPEN = "send messages while open_on_demand(...) or an OnDemandSupervisor runs its actors"
CLOSING = "it shuts down, and starts no more actors"


class Settings:
    """The settings of one `OnDemand`, and the table of its lives.

    Attributes:
        seconds: How long an actor may take to end at the shutdown.
        table: The newest life of each key, in a tuple: a message finds it as it finds the entry of a registry.
    """

    __slots__ = (
        "_args",
        "_shutdown",
        "_template",
        "backoff",
        "limit",
        "max_running",
        "name",
        "registry",
        "retire_after",
        "seconds",
        "table",
    )

    def __init__(
        self,
        name: str,
        factory: Callable[..., Any],
        args: tuple[Any, ...],
        retire_after: float,
        max_running: float,
        shutdown: float | Literal["kill"] | None,
        backoff: Backoff | None,
        registry: Registry[Any, None] | None,
        limit: RestartLimit | None,
    ) -> None:
        if not isinstance(name, str):
            raise TypeError(f"name must be a str, not {name!r}")
        spec = ChildSpec(factory, args, shutdown=shutdown, backoff=backoff, limit=limit)
        if spec.kind.type.hooks is None:
            raise TypeError(f"factory must be an Actor class (or a functools.partial of one), not {factory!r}")
        require_number("retire_after", retire_after, what=SECONDS, infinite=True, zero=False)
        require_count("max_running", max_running, 1, infinite=True)
        if registry is None:
            registry = Registry(name)
            registry._names.purpose = "actors on demand"
        elif not isinstance(registry, Registry):
            raise TypeError(f"registry must be a Registry, not {registry!r}")
        registry._require_unique("OnDemand")
        self.name = name
        self.registry = registry
        self.retire_after = retire_after
        self.max_running = max_running
        self.backoff = backoff
        self.limit = limit
        self.table: dict[Hashable, tuple[ActorRef[Any]]] = {}
        self._args = args
        self._template = ChildSpec(factory, args, None, None, "temporary", spec.shutdown)
        self._shutdown: float | Literal["kill"] = spec.shutdown
        self.seconds = spec.seconds

    @property
    def finishes(self) -> bool:
        """Whether at the shutdown an actor may handle what it has."""
        return self._shutdown != "kill"

    def spec(self, key: Hashable) -> ChildSpec:
        """How a life of a key is started. It is not restarted: the next message starts the next one."""
        name = Via(self.registry, key, None)  # the address has checked the key
        return spec_like(self._template, (key, *self._args), name)
