"""The engine of a pool: the workers are its children, and the desk learns from it when one has started or has ended.

It changes the size, and ends the pool: no worker is handed out any more, and each may finish what it has.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any, cast

import trio
from trio.lowlevel import current_task, enable_ki_protection

from .._actors import ENDED, WaitUntil, begin_wait_for_any, check_for_cycle, kept_busy_by, resume
from .._runtime import KILLED, SafeLogger, Turnstile, current_run
from .._supervision import Engine, RestartIntensity
from .desk import Desk
from .place import Place
from .stuck import cycle_of_claims

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from trio.lowlevel import Task

    from .._actors import ActorRef, Cell, Node
    from .._runtime import Run
    from .._supervision import Child, ChildSpec
    from .pool import Pool

logger = SafeLogger("trioreg.pool")


class PoolEngine(Engine):
    """An engine whose children are the workers of a pool.

    Attributes:
        desk: Who gets which worker.
    """

    def __init__(self, label: str, pool: Pool[Any]) -> None:
        settings = pool._settings
        intensity = RestartIntensity(settings.max_restarts, settings.max_seconds)
        super().__init__(label, intensity, keeps_ended=False, logger=logger)
        self._pool = pool
        self._settings = settings
        self._by_child: dict[Child, Place] = {}
        self._leaving: dict[int, Place] = {}
        self._resizing = trio.Lock()
        self._ends = Turnstile()  # very many workers that leave end a few at a time
        self._resizer: Node | None = None  # the actor that changes the size now
        self._awaited: list[Place] = []  # the places whose workers that change waits for
        self._sleep: tuple[Task, Place] | None = None  # the task that changes the size, and the worker it sleeps for
        self.desk = Desk(settings, lambda: self._lifecycle.is_accepting)

    async def _keep_children(self, specs: list[ChildSpec], on_started: Callable[[], object]) -> None:
        pool = self._pool
        if pool._engine is not None:
            self._lifecycle.add_failure(
                RuntimeError(f"{pool.name!r} is run by another supervisor already: only one at a time can run it")
            )
            return

        def all_started() -> None:
            for place, child in zip(self.desk.places, self.children.values(), strict=True):
                self._place(place, child)
            on_started()

        run = current_run()
        pool._engine = self
        run.registries.add(self)
        try:
            await super()._keep_children(specs, all_started)
        finally:
            self.forget_run()
            run.registries.discard(self)

    def watch(self) -> None:
        """Its names are in registries, which tell of them."""

    def forget_run(self) -> None:
        """All workers have ended: also if Trio has failed, or if this process is the child of a fork."""
        if self._pool._engine is self:  # else that was done long ago, and another run has begun
            self._pool._engine = None

    # A worker starts and ends

    def _place(self, place: Place, child: Child) -> None:
        """A child has a place: its lives come to the desk from now on."""
        place.child = child
        self._by_child[child] = place
        life = _running(child)
        if life is None:
            self._follow(place, child)
        else:
            self.desk.started(place, life)

    def _follow(self, place: Place, child: Child) -> None:
        self._lifecycle.nursery.start_soon(self._wait_started, place, child, name=f"{self.label}, start of {child}")

    @enable_ki_protection
    async def _wait_started(self, place: Place, child: Child) -> None:
        """Tell the desk when the next life of a worker has started. Ends with that, or with the end of that life."""
        try:
            while True:
                delayed, life = child.delayed_restart, child.life
                if delayed is not None:
                    await delayed.over.wait()
                    continue
                if life is None:
                    return
                await life.wait_started()
                if life is child.cell and life.state != ENDED and life.life.has_started and place.child is child:
                    known = place.worker
                    # If a life has ended before this task could look at it, there are two such tasks for the next one.
                    if known is None or known.cell is not life:
                        self.desk.started(place, life)
                return  # the end of that life, if it has ended, has begun another wait
        except Exception as error:
            self._lifecycle.fail(error)  # or the worker would be lost

    def child_ended(self, child: Child, cell: Cell) -> None:
        super().child_ended(child, cell)
        try:
            place = self._by_child.get(child)
            if place is None:
                return
            self.desk.ended(place, cell)
            if child.is_kept_alive:
                self._follow(place, child)
            else:
                del self._by_child[child]
        except Exception as error:
            self._lifecycle.fail(error)  # nothing here is to raise

    # The size

    async def resize(self, size: int) -> None:
        """Start more workers, or end some when they are free. A checkpoint."""
        self.require_thread()
        async with self._turn_to_resize():
            if not self._lifecycle.is_accepting:
                await self._lifecycle.refuse()
            if size < len(self.desk.places):
                await self._shrink(size)
            else:
                await self._grow(size)

    @asynccontextmanager
    async def _turn_to_resize(self) -> AsyncGenerator[None]:
        """One change of the size at a time. A worker that is to leave, or the task that has claimed it, gets
        `CallCycle`: its turn would never come."""
        for place in self._awaited:
            self._refuse_own_claim(place)
        note = f"the size of the pool {self._pool.name!r} is being changed, and that waits for this worker to leave"
        task, wait = current_task(), None

        def blockers() -> list[Node | None]:
            # A task that has its turn, or is being cancelled, does not sleep any more: it waits for no worker.
            return [None] if wait is not None and task.custom_sleep_data is None else [self._resizer]

        wait = begin_wait_for_any(blockers, task, note)
        try:
            await self._resizing.acquire()
        finally:
            if wait is not None:
                wait.end_wait()
        try:
            self._resizer = kept_busy_by(task)
            yield
        finally:
            self._resizer = None
            self._awaited.clear()
            self._resizing.release()

    async def _grow(self, size: int) -> None:
        # All are started, and then all are added: a caller with a key never meets a size in between.
        begun: list[tuple[Place, ChildSpec]] = []
        try:
            for number in range(len(self.desk.places), size):
                leaving = self._leaving.get(number)
                if leaving is not None:  # a wait for it was cancelled, and it has the name still
                    self.desk.set_growing(False)
                    with self._waiting_for(leaving):
                        await self._sleep_until_gone(leaving)
                    self._awaited.clear()
                place, spec = Place(number), self._settings.spec(number)
                begun.append((place, spec))
                self.desk.set_growing(True)
                await self.starting.start_child(spec)
                if self._child_of(spec) is None or self.desk.is_closed:
                    await self._lifecycle.refuse()
            for place, spec in begun:
                child = self._child_of(spec)
                if child is None:
                    await self._lifecycle.refuse()
                else:
                    self._place(place, child)
            self.desk.places.extend([place for place, _ in begun])
        except BaseException:
            for place, spec in reversed(begun):
                place.child = self._child_of(spec)
                if place.child is not None:
                    self._let_go(place)
            self.desk.set_growing(False)
            raise
        try:
            self.desk.rebalance()
            self.desk.set_growing(False)
        except Exception as error:
            self._lifecycle.fail(error)
            raise

    def _child_of(self, spec: ChildSpec) -> Child | None:
        for child in self.children.values():
            if child.spec is spec:
                return child
        return None

    async def _shrink(self, size: int) -> None:
        with ExitStack() as waits:
            for place in self.desk.places[size:]:
                # A worker that shrinks its own pool would wait for itself: refused before anything has changed.
                waits.enter_context(self._waiting_for(place))
            try:
                leaving = self.desk.shrink(size)
                for place in leaving:
                    self._let_go(place)
            except Exception as error:
                self._lifecycle.fail(error)  # some have left already
                raise
            for place in leaving:
                await self._sleep_until_gone(place)

    def _waiting_for(self, place: Place) -> AbstractContextManager[None]:
        """A block in which the caller waits until the worker of a place has left. `CallCycle` if that could not end."""
        self._refuse_own_claim(place)
        life = None if place.child is None else place.child.life
        is_over = self._is_giving_up
        wait = nullcontext() if life is None else WaitUntil(life.ref, check_for_cycle(life, current_task()), is_over)
        self._awaited.append(place)
        return wait

    async def _sleep_until_gone(self, place: Place) -> None:
        task = current_task()
        self._sleep = task, place
        try:
            task.custom_sleep_data = place
            await place.gone.wait()
        finally:
            self._sleep = None

    def _is_giving_up(self) -> bool:
        """Whether the task that changes the size is being cancelled, and has not had its turn yet.

        If it is woken because one worker has left, it goes on to wait for the next one.
        """
        sleep = self._sleep
        return sleep is not None and sleep[0].custom_sleep_data is not sleep[1] and not sleep[1].gone.is_set()

    def _refuse_own_claim(self, place: Place) -> None:
        error = cycle_of_claims((place,), current_task())
        if error is not None:
            error.add_note(
                f"this task has claimed a worker of the pool {self._pool.name!r} that leaves when the claim is over:"
                " leave its block first"
            )
            raise error

    def _let_go(self, place: Place) -> None:
        """End the worker of a place when it is not busy any more."""
        self.desk.leave(place)
        self._leaving[place.number] = place
        self._lifecycle.nursery.start_soon(self._retire, place, name=f"{self.label}, end of {place.number}")

    @enable_ki_protection
    async def _retire(self, place: Place) -> None:
        try:
            await place.wait_free()
            await self._ends.go_through()
            child = place.child
            assert child is not None  # it has been started
            child.is_terminating = True
            await self.termination.end_child(child)
            self._by_child.pop(child, None)
            self._leaving.pop(place.number, None)
            place.gone.set()
        except BaseException as error:
            place.gone.set()
            if not isinstance(error, Exception):
                raise
            self._lifecycle.fail(error)  # or the worker would stay

    # The end

    async def _shut_down(self) -> None:
        self._lifecycle.is_closing = True
        places = [*self.desk.places, *self._leaving.values()]
        self.desk.close()
        if self._settings.finishes:
            with trio.move_on_after(self._settings.seconds) as time:
                await self._finish(places)
            # Without a place are workers that have started before the pool was open. They end as any child does.
            for child in [place.child for place in places] if time.cancelled_caught else ():
                cell = None if child is None else _running(child)
                if child is not None and cell is not None:
                    cell.end(KILLED)
                    self.shutdown_timed_out(child, cell)
        await super()._shut_down()

    async def _finish(self, places: list[Place]) -> None:
        """Let each worker finish what it has, and end. None waits for another one."""
        async with trio.open_nursery() as nursery:
            for place in places:
                nursery.start_soon(self._finish_one, place, name=f"{self.label}, end of {place.number}")

    @enable_ki_protection
    async def _finish_one(self, place: Place) -> None:
        place.is_leaving = True
        life = None if place.child is None else _running(place.child)
        if life is not None:
            resume(life)  # a suspended worker would not finish what it has
        await place.wait_free()
        await self._ends.go_through()
        life = None if place.child is None else _running(place.child)
        if life is not None:
            life.stop()
            await life.wait_ended()


def pools_of(run: Run) -> list[Pool[Any]]:
    """The pools that run in a Trio run, by name."""
    return sorted((each._pool for each in list(run.registries) if isinstance(each, PoolEngine)), key=lambda p: p.name)


def claims_of(pool: Pool[Any]) -> list[tuple[ActorRef[Any], Task]]:
    """The workers of a pool that are claimed, and the task that has claimed each."""
    places = () if pool._engine is None else tuple(pool._engine.desk.places)
    claimed = [each.worker for each in places if each.worker is not None and each.worker.claimer is not None]
    return [(cast("ActorRef[Any]", each.cell.ref), cast("Task", each.claimer)) for each in claimed]


def claimer_of(child: Child) -> Task | None:
    """The task that has claimed a worker. None if no task has, or if the child is no worker of a pool."""
    engine = child.parent
    place = engine._by_child.get(child) if isinstance(engine, PoolEngine) else None
    return None if place is None or place.worker is None else place.worker.claimer


def _running(child: Child) -> Cell | None:
    life = child.life
    return life if life is not None and life.life.has_started else None
