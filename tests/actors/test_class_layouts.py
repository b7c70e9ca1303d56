"""Any class can be an actor, whatever its instances look like: frozen, with slots, or with a built-in base."""

from __future__ import annotations

import abc
import dataclasses
from collections import UserList
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import attrs
import pytest
import trio
from support.supervisors import supervised
from trio.testing import MockClock

from trioreg import Actor, ActorRef

T = TypeVar("T")


class Ready(Actor):
    """What each of them can do. It adds no attributes and no slots."""

    __slots__ = ()

    def own(self) -> tuple[ActorRef[Any], type]:
        self.send_after(1, "message")
        self.start_soon(trio.sleep_forever)
        return self.ref, type(self)

    async def on_message(self, message: object) -> None:
        self.stop()


class Plain(Ready):
    pass


class Slots(Ready):
    __slots__ = ("notes",)

    def __init__(self) -> None:
        self.notes = [self.ref]


class WeakSlots(Ready):
    __slots__ = ("__weakref__", "notes")


@dataclasses.dataclass
class Data(Ready):
    note: str = "note"


@dataclasses.dataclass(frozen=True)
class FrozenData(Ready):
    note: str = "note"


@dataclasses.dataclass(frozen=True, slots=True)
class FrozenSlotsData(Ready):
    note: str = "note"


@attrs.define
class Attrs(Ready):
    note: str = "note"


@attrs.frozen
class FrozenAttrs(Ready):
    note: str = "note"


@attrs.frozen(slots=False)
class FrozenDictAttrs(Ready):
    note: str = "note"


class Mapping(Ready, dict[str, int]):
    pass


class MappingFirst(dict[str, int], Ready):
    pass


class MappingFirstThatAsks(dict[str, int], Ready):
    def __init__(self) -> None:
        self["number"] = self.ref._number


class Numbers(Ready, set[int]):
    pass


class Error(Ready, Exception):
    pass


class ErrorFirst(Exception, Ready):
    pass


class Text(Ready, str):
    pass


class Point(NamedTuple):
    x: int
    y: int


class PointActor(Ready, Point):
    pass


class SlotsBase:
    __slots__ = ("a", "b")


class WithSlotsBase(Ready, SlotsBase):
    __slots__ = ()


class Abstract(Ready, abc.ABC, Generic[T]):
    @abc.abstractmethod
    def do(self) -> None: ...


class Concrete(Abstract[int]):
    def do(self) -> None: ...


class Listed(Ready, UserList[int]):
    pass


class OwnNew(Ready):
    def __new__(cls) -> OwnNew:
        cls.helper = Plain()
        return super().__new__(cls)

    helper: Plain


LAYOUTS: list[tuple[Callable[..., Ready], tuple[Any, ...]]] = [
    (Plain, ()),
    (Slots, ()),
    (WeakSlots, ()),
    (Data, ("a",)),
    (FrozenData, ("a",)),
    (FrozenSlotsData, ("a",)),
    (Attrs, ("a",)),
    (FrozenAttrs, ("a",)),
    (FrozenDictAttrs, ("a",)),
    (Mapping, ({"a": 1},)),
    (MappingFirst, ({"a": 1},)),
    (MappingFirstThatAsks, ()),
    (Numbers, ([1, 2],)),
    (Error, ("words",)),
    (ErrorFirst, ("words",)),
    (Text, ("text",)),
    (PointActor, (1, 2)),
    (WithSlotsBase, ()),
    (Concrete, ()),
    (Listed, ([1],)),
    (OwnNew, ()),
]


@pytest.mark.parametrize(("cls", "args"), LAYOUTS)
async def test_any_class_can_be_an_actor(cls: type[Ready], args: tuple[Any, ...], autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(cls, *args, restart="transient")
        other = await supervisor.start_child(cls, *args, restart="transient")
        assert await ref.call(Ready.own) == (ref, cls)
        assert await other.call(Ready.own) == (other, cls)
        with trio.fail_after(2):
            assert (await ref.wait()).reason == "normal"  # by its timer, `on_message` and `self.stop()`
            assert (await other.wait()).reason == "normal"


@pytest.mark.parametrize(("cls", "args"), LAYOUTS)
def test_without_a_supervisor_it_is_a_plain_object(cls: type[Ready], args: tuple[Any, ...]) -> None:
    if cls is MappingFirstThatAsks or cls is Slots:  # they ask in their `__init__`
        return
    with pytest.raises(RuntimeError, match=rf"^this {cls.__name__} was not started by a supervisor"):
        cls(*args).stop()


def test_the_arguments_of_a_built_in_base_are_kept() -> None:
    assert Text("text") == "text"
    assert PointActor(1, 2).y == 2
    plain: Any = Plain
    with pytest.raises(TypeError, match=r"^Plain\(\) takes no arguments"):
        plain(5)


class OneForAll(type):
    """A metaclass that gives the same instance each time."""

    instance: Any = None

    def __call__(cls, *args: Any) -> Any:
        if cls.instance is None:
            cls.instance = super().__call__(*args)
        return cls.instance


class Singleton(Ready, metaclass=OneForAll):
    pass


class SlotsSingleton(Ready, metaclass=OneForAll):
    __slots__ = ("__weakref__",)


@pytest.mark.parametrize("cls", [Singleton, SlotsSingleton])
async def test_an_instance_is_one_actor_at_a_time(cls: type[Ready], autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        for _ in range(2):
            first = await supervisor.start_child(cls, restart="temporary")
            with pytest.raises(RuntimeError, match=rf"^{cls.__name__} has given the instance that is <.*> already"):
                await supervisor.start_child(cls)
            assert await first.call(Ready.own) == (first, cls)
            await first.stop()


class Shape(Ready):
    def __new__(cls) -> Any:
        circle: Any = Circle
        return super().__new__(circle)


class Circle(Shape):
    pass


class Five(Ready):
    def __new__(cls) -> Any:
        return 5


class Nothing(Ready):
    def __new__(cls) -> Any:
        return None


NOT_ITS_OWN = [
    (Shape, r"(?m)^Shape\(\) must give an instance of its own class, not of Circle: pass Circle$"),
    (Five, r"(?m)^Five\(\) must give an instance of its own class, not 5$"),
    (Nothing, r"(?m)^Nothing\(\) must give an instance of its own class, not None$"),
]


@pytest.mark.parametrize(("cls", "words"), NOT_ITS_OWN)
async def test_a_class_that_gives_no_instance_of_its_own_is_refused(
    cls: type[Ready], words: str, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        with pytest.raises(TypeError, match=words):
            await supervisor.start_child(cls)
        circle = await supervisor.start_child(Circle)
        assert await circle.call(Ready.own) == (circle, Circle)


async def test_the_log_of_a_crash_shows_the_state_of_any_layout(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    @attrs.define
    class Till(Actor):
        log_state = True
        coins: int

        def bang(self) -> None:
            raise ValueError

    @dataclasses.dataclass
    class OpenTill(Actor):
        log_state = True
        coins: int

        def bang(self) -> None:
            raise ValueError

    async with supervised() as supervisor:
        for cls in (Till, OpenTill):
            ref: ActorRef[Any] = await supervisor.start_child(cls, 5, restart="temporary")
            await ref.cast(cls.bang)
            await ref.wait()
            assert "with {'coins': 5}" in caplog.records[-1].getMessage()


async def test_a_plain_object_at_the_place_of_an_actor_that_has_ended_is_not_that_actor(
    autojump_clock: MockClock,
) -> None:
    async with supervised() as supervisor:
        for _ in range(20):
            ref = await supervisor.start_child(Slots, restart="temporary")
            await ref.stop()
            with pytest.raises(RuntimeError, match="was not started by a supervisor"):
                print(WeakSlots().ref)
