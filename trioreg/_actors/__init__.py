"""Actors: one task, one mailbox, private state, one message at a time.

Read first: `actor.py` (what a user writes), then `ref.py` (how you reach an actor). Then `cell.py` (the record of a
living actor), `life.py` (from its start to its end) and `hot_paths.py` (the way of a message).

This wing never decides about a restart, and never knows a registry or a supervisor. Other wings import from here, not
from the files.
"""

from .actor import Actor
from .actor_type import ActorType, type_of
from .agent import Agent
from .answers import wait_answer
from .any_wait import begin_wait_for_any, stuck_nodes, targets_of
from .at_work import handling, other_tasks, own_frames
from .beside import beside
from .birth import new_life, new_passing_life
from .call import Reply
from .cell import CALLERS_TURN, ENDED, ENDING, RUNNING, STARTING, STOPPING, Cell, Reference
from .control import ask_to_change, ask_to_suspend, is_suspended, resume
from .crash_details import CrashDetails, crash_details
from .current import current, current_cell, receive, send_after, send_every
from .deadlock import (
    begin_wait,
    check_for_cycle,
    kept_busy_by,
    needs_name,
    waiting_for,
    waiting_for_end,
    waiting_for_name,
    yielding_wait,
)
from .function_actor import Function
from .gate import hold_up, is_held_up, let_through
from .group_cast import cast_to_all
from .handler import Handlers, raises
from .idle import begin_use, end_use
from .intake import Intake
from .life import run_actor
from .mailbox import IN_LINE
from .message import CAST, INFO
from .method import signature_of
from .observed import MessageKind, WhyLeft
from .passing_cell import LAUNCHED, WAITING, PassingCell
from .post import post
from .ref import ActorRef, ActorState, ActorStatistics, Address
from .results import await_many, race
from .round import ask_round
from .shared_turn import can_share, current_shared_turn, keep_own_turns
from .timer import Timer
from .wait_graph import (
    EndsBelow,
    Node,
    RoomWait,
    SharedStartWait,
    SleepingWait,
    StartWait,
    Wait,
    WaitUntil,
    YieldingWait,
)
from .waiting import Waiting, WaitingKind, waiting_for_actor, waits_for
from .watched_message import Message

__all__ = [
    "CALLERS_TURN",
    "CAST",
    "ENDED",
    "ENDING",
    "INFO",
    "IN_LINE",
    "LAUNCHED",
    "RUNNING",
    "STARTING",
    "STOPPING",
    "WAITING",
    "Actor",
    "ActorRef",
    "ActorState",
    "ActorStatistics",
    "ActorType",
    "Address",
    "Agent",
    "Cell",
    "CrashDetails",
    "EndsBelow",
    "Function",
    "Handlers",
    "Intake",
    "Message",
    "MessageKind",
    "Node",
    "PassingCell",
    "Reference",
    "Reply",
    "RoomWait",
    "SharedStartWait",
    "SleepingWait",
    "StartWait",
    "Timer",
    "Wait",
    "WaitUntil",
    "Waiting",
    "WaitingKind",
    "WhyLeft",
    "YieldingWait",
    "ask_round",
    "ask_to_change",
    "ask_to_suspend",
    "await_many",
    "begin_use",
    "begin_wait",
    "begin_wait_for_any",
    "beside",
    "can_share",
    "cast_to_all",
    "check_for_cycle",
    "crash_details",
    "current",
    "current_cell",
    "current_shared_turn",
    "end_use",
    "handling",
    "hold_up",
    "is_held_up",
    "is_suspended",
    "keep_own_turns",
    "kept_busy_by",
    "let_through",
    "needs_name",
    "new_life",
    "new_passing_life",
    "other_tasks",
    "own_frames",
    "post",
    "race",
    "raises",
    "receive",
    "resume",
    "run_actor",
    "send_after",
    "send_every",
    "signature_of",
    "stuck_nodes",
    "targets_of",
    "type_of",
    "wait_answer",
    "waiting_for",
    "waiting_for_actor",
    "waiting_for_end",
    "waiting_for_name",
    "waits_for",
    "yielding_wait",
]
