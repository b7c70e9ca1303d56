"""What a `Pool` is made with, checked, and how each of its workers is started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from .._registry import Registry
from .._runtime import require_count
from .._supervision import ChildSpec, RestartIntensity, SupervisorBase
from .strategy import STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._actors import Handlers
    from .._supervision import Backoff
    from .strategy import StrategyName


class Settings:
    """The settings of one `Pool`.

    Attributes:
        registry: The names of the workers: the numbers of their places.
        handlers: The methods that can be sent to a worker.
        have_on_idle: Whether the workers have an `on_idle`.
        seconds: How long a worker may take to end.
        finishes: Whether at the end a worker may finish what it has.
    """

    __slots__ = (
        "_spec",
        "finishes",
        "handlers",
        "have_on_idle",
        "max_restarts",
        "max_seconds",
        "name",
        "queue_limit",
        "registry",
        "seconds",
        "size",
        "strategy",
    )

    def __init__(
        self,
        name: str,
        factory: Callable[..., Any],
        args: tuple[Any, ...],
        size: int,
        strategy: StrategyName,
        queue_limit: float,
        max_restarts: float,
        max_seconds: float,
        shutdown: float | Literal["kill"] | None,
        backoff: Backoff | None,
    ) -> None:
        spec: ChildSpec[Any] = ChildSpec(factory, args, shutdown=shutdown, backoff=backoff)
        if spec.kind.type.hooks is None:
            raise TypeError(f"factory must be an Actor class (or a functools.partial of one), not {factory!r}")
        cls = spec.kind.type.handlers.cls
        if cls is not None and issubclass(cls, SupervisorBase):
            raise TypeError(
                f"factory must not be a supervisor, but is {cls.__qualname__}: it works on several messages at once, so"
                " no caller has it for itself. Write an Actor that opens a supervisor in its background (start_soon)"
            )
        require_size(size)
        if strategy not in STRATEGIES:
            allowed = ", ".join(map(repr, STRATEGIES))
            raise ValueError(f"strategy must be one of {allowed}, not {strategy!r}")
        require_count("queue_limit", queue_limit, 0, infinite=True)
        RestartIntensity(max_restarts, max_seconds)  # it checks them
        self.name = name
        self.size = size
        self.strategy: StrategyName = strategy
        self.queue_limit = queue_limit
        self.max_restarts = max_restarts
        self.max_seconds = max_seconds
        self.registry: Registry[int, None] = Registry(name)  # it checks the name
        self.registry._names.purpose = "pool"
        self.handlers: Handlers = spec.kind.type.handlers
        self.have_on_idle = spec.kind.type.hooks.has_on_idle
        self.seconds = spec.seconds
        self.finishes = spec.shutdown != "kill"
        self._spec = spec

    def spec(self, number: int) -> ChildSpec[Any]:
        """How the worker of a place is started."""
        return self._spec.named(self.registry.via(number))


def require_size(size: object) -> None:
    require_count("size", size, 1)
