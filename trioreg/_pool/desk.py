"""The desk of a pool: who gets which worker, and when.

A worker that becomes free goes to the first caller in line, in the same step. A caller that comes while there is a line
stands at its end. So no caller overtakes another, and no caller waits for a worker that is free.

A worker is free when it has started, and when it has been given back and has nothing left to do. If a caller has given
up, the worker may still be at work for it. Then a message of the runtime goes through its mailbox (a round): when that
is handled, the worker is done.

Must never happen: a worker with two callers; a caller with a worker that was ending when it got it; a free worker while
a caller waits for it; a caller in line that nothing will wake.

A step that fails, because the stack or the memory is full, must not lose a worker or a caller either. So what can fail
comes before the change, and the change itself calls nothing. Then `Desk.give_back` can simply be called again.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING

import trio
from trio.lowlevel import (
    Abort,
    RaiseCancelT,
    cancel_shielded_checkpoint,
    checkpoint_if_cancelled,
    current_task,
    wait_task_rescheduled,
)

from .._actors import ask_round, begin_use, end_use
from .._runtime import NotRunning, PoolFull, current_run, do_later, require_room, wake_in_slices
from .line import Line, numbers
from .place import Place, Ticket, Worker, WorkerState
from .statistics import PoolStatistics, Waits
from .strategy import chooser_of
from .stuck import begin_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from .._actors import Cell
    from .settings import Settings

IDLE, GIVEN, BUSY, FINISHING, GONE = WorkerState


class Desk:
    """The desk, while the supervisor of the workers runs.

    Attributes:
        places: The places, by number.
        is_closed: Whether no worker is handed out any more.
        crashes: How many workers have crashed.
    """

    __slots__ = (
        "_choose",
        "_have_on_idle",
        "_idle",
        "_is_accepting",
        "_is_growing",
        "_line",
        "_settings",
        "_waiting",
        "_waits",
        "crashes",
        "is_closed",
        "places",
    )

    def __init__(self, settings: Settings, is_accepting: Callable[[], bool]) -> None:
        self._settings = settings
        self._is_accepting = is_accepting
        self._have_on_idle = settings.have_on_idle
        self._choose = chooser_of(settings.strategy)
        self._idle: OrderedDict[Worker, None] = OrderedDict()
        self._line: Line[Ticket] = Line()
        self._waiting = 0
        self._is_growing = False
        self._waits = Waits()
        self.places = [Place(number) for number in range(settings.size)]
        self.is_closed = False
        self.crashes = 0

    @property
    def is_over(self) -> bool:
        """Whether no worker will be handed out any more: callers get `NotRunning`."""
        return self.is_closed or not self._is_accepting()

    # A caller comes

    async def check_out(self, key: Hashable, check: Callable[[], object] | None = None) -> Worker:
        """A free worker, at once if there is one: then it is no checkpoint. Else wait in line.

        Before the caller waits, ``check`` may raise an error of its arguments.
        """
        try:
            place = self._place_for(key)
            worker = self._take_idle(place)
            if worker is not None:
                return worker
            if check is not None:
                check()
            return await self._wait(self._new_ticket(key, place), self._line_up)
        except Exception:
            # A caller that is cancelled together with the pool gets `Cancelled`, and no other error.
            await checkpoint_if_cancelled()
            raise

    async def check_out_at_checkpoint(self, key: Hashable) -> Worker:
        """As `check_out`, and always a checkpoint. Call `checkpoint_if_cancelled` first."""
        try:
            place = self._place_for(key)
            number = next(numbers)
            worker = self._take_idle(place)
            if worker is None:
                return await self._wait(self._new_ticket(key, place), self._line_up)
            try:
                await cancel_shielded_checkpoint()
                if worker.is_running:
                    return worker
                # It has ended at the checkpoint. The caller is older than all that have come to the line since.
                self.give_back(worker)
            except BaseException:
                self.give_back_surely(worker)
                raise
            ticket = Ticket(number, key, place, trio.current_time())
            return await self._wait(ticket, self._line_up_late)
        except Exception:
            await checkpoint_if_cancelled()
            raise

    def _place_for(self, key: Hashable) -> Place | None:
        if self.is_closed or not self._is_accepting():
            raise self._not_running()
        require_room(8)  # a caller that takes a worker needs some to give it back, at least a little later
        return None if self._choose is None else self._choose(self.places, key)

    def _take_idle(self, place: Place | None) -> Worker | None:
        idle = self._idle
        if place is None:
            while idle:
                worker = next(iter(idle))
                state = BUSY if worker.is_running else GONE
                if self._have_on_idle:
                    begin_use(worker.cell)
                del idle[worker]
                worker.state = state
                if state is BUSY:
                    return worker
            return None
        worker_there = place.worker
        if worker_there is None or worker_there.state is not IDLE:
            return None
        state = BUSY if worker_there.is_running else GONE
        if self._have_on_idle:
            begin_use(worker_there.cell)
        del idle[worker_there]
        worker_there.state = state
        return worker_there if state is BUSY else None

    def _new_ticket(self, key: Hashable, place: Place | None) -> Ticket:
        if self._waiting >= self._settings.queue_limit:
            raise self._full()
        return Ticket(next(numbers), key, place, trio.current_time())

    def _full(self) -> PoolFull:
        return PoolFull(self._settings.name, int(self._settings.queue_limit))

    def _line_up(self, ticket: Ticket) -> None:
        self._line_of(ticket.place).add(ticket)
        self._waiting += 1

    def _line_up_late(self, ticket: Ticket) -> None:
        """Line up a caller whose worker has ended at the checkpoint. `PoolFull` if too many callers wait now."""
        self._line_up_again(ticket)
        if ticket.line is not None and self._waiting > self._settings.queue_limit:
            self._leave(ticket)
            raise self._full()

    async def _wait(self, ticket: Ticket, line_up: Callable[[Ticket], None]) -> Worker:
        """Line up, and wait until the ticket has a worker that can be used. A checkpoint, unless it has one at once."""

        def abort(_: RaiseCancelT) -> Abort:
            if ticket.line is None:
                return Abort.FAILED  # it is being woken: it has a worker
            self._leave(ticket)
            return Abort.SUCCEEDED

        try:
            line_up(ticket)
            while True:
                worker = ticket.worker
                if worker is not None:
                    if worker.is_running:
                        self._waits.add(trio.current_time() - ticket.since)
                        worker.ticket = ticket.worker = None
                        worker.state = BUSY
                        return worker
                    worker.ticket = ticket.worker = None
                    worker.state = GONE
                    worker.place.set_free()
                    self._line_up_again(ticket)
                elif ticket.error is not None:
                    raise ticket.error
                elif self.is_closed:
                    raise self._not_running()
                else:
                    # A place that comes serves the callers of any worker, and a key may move to it.
                    others_come = self._is_growing and (ticket.place is None or self._settings.strategy == "by_key")
                    places = partial(self._places_of, ticket)
                    ticket.wait = begin_wait(ticket, places, self._settings.name, others_come=others_come)
                    try:
                        ticket.task = current_task()
                        ticket.task.custom_sleep_data = ticket
                        await wait_task_rescheduled(abort)
                    finally:
                        ticket.task = None
                        if ticket.wait is not None:
                            ticket.wait.end_wait()
                            ticket.wait = None
        except BaseException:
            ticket.task = None
            if ticket.line is not None:
                self._leave(ticket)
            if ticket.worker is not None:
                self._put_down(ticket)
            raise

    def _places_of(self, ticket: Ticket) -> Sequence[Place]:
        """The places whose workers could serve a caller."""
        return self.places if ticket.place is None else (ticket.place,)

    def _leave(self, ticket: Ticket) -> None:
        assert ticket.line is not None
        ticket.line.remove(ticket)
        self._waiting -= 1

    def _put_down(self, ticket: Ticket) -> None:
        """A caller will not use the worker that it was given."""
        worker, ticket.worker = ticket.worker, None
        assert worker is not None
        worker.ticket = None
        worker.state = BUSY
        self.give_back_surely(worker)

    def _line_up_again(self, ticket: Ticket) -> None:
        """The worker that a caller got has ended before the caller had its turn: it keeps its place."""
        if self.is_closed:
            self._refuse(ticket, self._not_running())
            return
        place = ticket.place
        if place is not None and place.is_leaving:
            try:
                place = self._place_again(ticket)
            except BaseException as error:
                self._refuse(ticket, error)
                return
        worker = self._take_idle(place)
        if worker is not None:
            self._give(worker, ticket)
        else:
            self._line_of(place).put_back(ticket)
            self._waiting += 1

    def _place_again(self, ticket: Ticket) -> Place:
        assert self._choose is not None
        ticket.place = place = self._choose(self.places, ticket.key)
        return place

    def _line_of(self, place: Place | None) -> Line[Ticket]:
        return self._line if place is None else place.line

    def _lines(self) -> Iterator[Line[Ticket]]:
        yield self._line
        for place in self.places:
            yield place.line

    # A worker becomes free

    def give_back(self, worker: Worker) -> None:
        """A caller does not use its worker any more. Not a checkpoint; constant time.

        If it raises, nothing has changed.
        """
        if worker.state is not BUSY:
            return
        if not worker.is_running:
            self._gone(worker)
        elif worker.cell.is_idle:
            self._free(worker)
        else:
            ask_round(worker.cell, partial(self._came_round, worker))
            worker.state = FINISHING

    def give_back_surely(self, worker: Worker) -> None:
        """Give a worker back, now or a little later: for a caller that can't try again."""
        try:
            self.give_back(worker)
        except (MemoryError, RecursionError):
            self.give_back_later(worker)

    def give_back_later(self, worker: Worker) -> None:
        """The stack is full, or the memory. The worker must not be lost."""
        do_later(worker.cell.ref._run.token, self.give_back, worker)

    def _came_round(self, worker: Worker) -> None:
        if worker.state is FINISHING:
            try:
                if worker.is_running:
                    self._free(worker)
                else:
                    self._gone(worker)
            except (MemoryError, RecursionError):
                do_later(worker.cell.ref._run.token, self._came_round, worker)

    def _gone(self, worker: Worker) -> None:
        """A worker ends. No task needs to wait any more until it is not busy."""
        if worker.place.freed is not None:
            require_room()
        worker.state = GONE
        worker.place.set_free()

    def _free(self, worker: Worker) -> None:
        place = worker.place
        if self.is_closed or place.is_leaving:
            require_room()
            worker.state = IDLE
            place.set_free()
            return
        ticket = (self._line if self._choose is None else place.line).first
        if ticket is None:
            if self._have_on_idle:
                end_use(worker.cell)
            worker.state = IDLE
            self._idle[worker] = None
        else:
            require_room()
            self._give(worker, ticket)

    def _give(self, worker: Worker, ticket: Ticket) -> None:
        """A caller gets a worker, and is woken. If it stands in a line, it leaves that."""
        if ticket.line is not None:
            del ticket.line.tickets[ticket.number]
            ticket.line = None
            self._waiting -= 1
        worker.state = GIVEN
        worker.ticket = ticket
        ticket.worker = worker
        try:
            ticket.wake()
        except (MemoryError, RecursionError):
            do_later(current_run().token, ticket.wake)

    # A worker comes and goes

    def started(self, place: Place, cell: Cell) -> None:
        """A worker has started."""
        worker = place.worker = Worker(place, cell)
        worker.state = BUSY
        try:
            if self._have_on_idle:
                begin_use(cell)
            if self._waiting and self._settings.strategy in ("round_robin", "least_loaded"):
                # While no worker was there, callers were spread over all places. Now there is one for all of them.
                for other in self.places:
                    if not other.is_present:
                        self._send_elsewhere(other)
            self._free(worker)
        except BaseException:
            place.worker = None  # it would be busy for ever
            raise

    def ended(self, place: Place, cell: Cell) -> None:
        """A worker has ended. Its next life, if there is one, has not started yet."""
        exit = cell.life.exit
        if exit is not None and exit.reason == "crashed":
            self.crashes += 1
        worker = place.worker
        if worker is not None and worker.cell is cell:
            place.worker = None
            self._idle.pop(worker, None)
            worker.state = GONE
            ticket, worker.ticket = worker.ticket, None
            if ticket is not None:
                ticket.worker = None
                try:
                    self._line_up_again(ticket)
                except BaseException as error:
                    self._refuse(ticket, error)
                    raise
        if self._settings.strategy != "by_key":
            self._send_elsewhere(place)
        place.set_free()

    def _send_elsewhere(self, place: Place) -> None:
        """Callers do not wait for the restart of one worker while there is another one."""
        if place.line and not self.is_closed and any(other.is_present for other in self.places):
            self._choose_again([place.line])

    def _choose_again(self, lines: list[Line[Ticket]]) -> None:
        """Each caller in these lines chooses its worker again. Until it has another one, it stands where it stood."""
        moved: dict[Place, list[Ticket]] = {}
        for ticket in sorted((ticket for line in lines for ticket in line), key=lambda ticket: ticket.number):
            try:
                place = self._place_again(ticket)
                if place.line is ticket.line:
                    continue
                worker = None if place.line or place in moved else self._take_idle(place)
                if worker is None:
                    moved.setdefault(place, []).append(ticket)
                    place.coming += 1
                else:
                    self._give(worker, ticket)
            except BaseException as error:
                # The key's own `__hash__` raised. That is an error of this caller, and of no other.
                self._refuse(ticket, error)
        for place, arrivals in moved.items():
            place.coming = 0
            place.line.merge(arrivals)
        self._look_again([ticket for arrivals in moved.values() for ticket in arrivals])

    def _look_again(self, tickets: Iterable[Ticket]) -> None:
        """Wake the callers that may wait for ever, now that these tickets are for other workers: they look again."""
        claimers = {None if place.worker is None else place.worker.claimer for place in self.places} - {None}
        self._wake_in_slices([ticket for ticket in tickets if ticket.wait is not None or ticket.task in claimers])

    def _wake_in_slices(self, tickets: Iterable[Ticket]) -> None:
        waiting = OrderedDict.fromkeys(tickets)
        try:
            wake_in_slices(waiting)
        except (MemoryError, RecursionError):
            do_later(current_run().token, wake_in_slices, waiting)

    def _refuse(self, ticket: Ticket, error: BaseException) -> None:
        """A caller gets no worker, but an error."""
        if ticket.line is not None:
            del ticket.line.tickets[ticket.number]
            ticket.line = None
            self._waiting -= 1
        ticket.error = error
        try:
            ticket.wake()
        except (MemoryError, RecursionError):
            do_later(current_run().token, ticket.wake)

    # The size changes

    def set_growing(self, is_growing: bool) -> None:
        """More workers are being started; or that is over, and callers look again whether they would wait for ever."""
        self._is_growing = is_growing
        if not is_growing:
            try:
                self._look_again([ticket for line in self._lines() for ticket in line])
            except (MemoryError, RecursionError):
                do_later(current_run().token, self.set_growing, self._is_growing)

    def rebalance(self) -> None:
        """There are more places: callers that wait go where their keys go now. A key never has two workers."""
        if self._settings.strategy == "by_key":
            self._choose_again([place.line for place in self.places])

    def shrink(self, size: int) -> list[Place]:
        """Fewer places, all in one step: a caller with a key never meets a size in between.

        Returns those that leave, the last one first. Their workers are not given to callers any more.
        """
        leaving = self.places[size:][::-1]
        for place in leaving:
            self.leave(place)
        del self.places[size:]
        try:
            if any(place.line for place in leaving):
                self._choose_again([place.line for place in leaving])
        except BaseException as error:
            for place in leaving:
                for ticket in list(place.line):
                    self._refuse(ticket, error)
            raise
        self._look_again(self._line)
        return leaving

    def leave(self, place: Place) -> None:
        """The worker of a place is not given to callers any more."""
        place.is_leaving = True
        if place.worker is not None:
            self._idle.pop(place.worker, None)

    # The end

    def close(self) -> None:
        """No worker is handed out any more. Callers in line get `NotRunning`. If it fails half-way, call it again."""
        self.is_closed = True
        self._idle.clear()
        # Each of them sees that, and leaves its line.
        self._wake_in_slices(ticket for line in self._lines() for ticket in line)
        for place in self.places:
            worker = place.worker
            if worker is not None and worker.ticket is not None:
                # Given in the step before: its caller has not had its turn.
                ticket = worker.ticket
                ticket.error = self._not_running()
                self._put_down(ticket)

    def _not_running(self) -> NotRunning:
        return NotRunning(self._settings.name, "it has no workers to hand out")

    def statistics(self) -> PoolStatistics:
        first = [line.first for line in self._lines()]
        since = min((ticket.since for ticket in first if ticket is not None), default=None)
        return PoolStatistics(
            size=len(self.places),
            idle=sum(worker.is_running for worker in self._idle),
            busy=sum(place.is_busy for place in self.places),
            waiting=self._waiting,
            longest_wait=0.0 if since is None else trio.current_time() - since,
            waits=self._waits.count,
            total_wait=self._waits.total,
            max_wait=self._waits.longest,
            crashes=self.crashes,
        )
