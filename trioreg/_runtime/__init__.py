"""The base of all other wings: one Trio run, owners of names, exits, errors, sleeping, and calls of the user's code.

Read first: `owner.py`. An owner holds names, and gives them all back in the step in which it ends.

This wing never knows an actor, a registry or a supervisor. Other wings import from here, not from the files.
"""

from .amounts import OPTIONAL_SECONDS, SECONDS, require_count, require_number, require_whole
from .attributes import Kept, attributes_of
from .block import AsyncBlock, SyncBlock
from .counted import counted
from .duration import duration
from .errors import (
    ActorExited,
    AlreadyRegistered,
    CallCycle,
    ChildNotEnded,
    ChildNotFound,
    CrashedTooOften,
    HandlerTimeout,
    MailboxFull,
    MaxChildren,
    NoReply,
    NotRegistered,
    NotRunning,
    Overflow,
    PoolFull,
    RestartLimitExceeded,
    TrioregError,
)
from .exit import KILLED, NORMAL, SHUTDOWN, Exit, ExitReason
from .failure import (
    as_crash,
    combine,
    flat,
    is_being_closed,
    refuse_foreign_cancelled,
    split,
    without_runtime_frames,
)
from .feed import Feed, FeedStatistics, OnOverflow
from .finalizers import COLLECTING, UNUSUAL, do_later, is_finalizing
from .frames import Frames, frames_of, is_of_trio, is_running, local_in, running_from, stack_of, users_part
from .hashable import require_hashable, unhashable
from .identity import Identity
from .install import install, uninstall
from .instruments import Instruments
from .ki_protection import await_user, run_user, without_ki_protection
from .line import Place
from .log import SafeLogger
from .log_fields import EventName, Fields, text_of
from .owner import Owner, Token, owner_numbers
from .public_names import show_methods_as
from .shown import one_line, shown_error, shown_safely, shown_whole
from .sleeping import WOKEN, finish_waking, sleep_until_woken, sleep_with, wake
from .snapshot import items_of
from .stack_room import require_room, require_room_for_launch, require_room_for_task
from .task_owner import TaskOwner, current_actor, current_owner
from .traceback_lines import keep_lines
from .trio_run import Run, current_run
from .turnstile import Turnstile
from .user_functions import async_result, discard, is_generator, is_old_coroutine, require_sync, sync_result
from .waking import wake_in_slices

__all__ = [
    "COLLECTING",
    "KILLED",
    "NORMAL",
    "OPTIONAL_SECONDS",
    "SECONDS",
    "SHUTDOWN",
    "UNUSUAL",
    "WOKEN",
    "ActorExited",
    "AlreadyRegistered",
    "AsyncBlock",
    "CallCycle",
    "ChildNotEnded",
    "ChildNotFound",
    "CrashedTooOften",
    "EventName",
    "Exit",
    "ExitReason",
    "Feed",
    "FeedStatistics",
    "Fields",
    "Frames",
    "HandlerTimeout",
    "Identity",
    "Instruments",
    "Kept",
    "MailboxFull",
    "MaxChildren",
    "NoReply",
    "NotRegistered",
    "NotRunning",
    "OnOverflow",
    "Overflow",
    "Owner",
    "Place",
    "PoolFull",
    "RestartLimitExceeded",
    "Run",
    "SafeLogger",
    "SyncBlock",
    "TaskOwner",
    "Token",
    "TrioregError",
    "Turnstile",
    "as_crash",
    "async_result",
    "attributes_of",
    "await_user",
    "combine",
    "counted",
    "current_actor",
    "current_owner",
    "current_run",
    "discard",
    "do_later",
    "duration",
    "finish_waking",
    "flat",
    "frames_of",
    "install",
    "is_being_closed",
    "is_finalizing",
    "is_generator",
    "is_of_trio",
    "is_old_coroutine",
    "is_running",
    "items_of",
    "keep_lines",
    "local_in",
    "one_line",
    "owner_numbers",
    "refuse_foreign_cancelled",
    "require_count",
    "require_hashable",
    "require_number",
    "require_room",
    "require_room_for_launch",
    "require_room_for_task",
    "require_sync",
    "require_whole",
    "run_user",
    "running_from",
    "show_methods_as",
    "shown_error",
    "shown_safely",
    "shown_whole",
    "sleep_until_woken",
    "sleep_with",
    "split",
    "stack_of",
    "sync_result",
    "text_of",
    "unhashable",
    "uninstall",
    "users_part",
    "wake",
    "wake_in_slices",
    "without_ki_protection",
    "without_runtime_frames",
]
