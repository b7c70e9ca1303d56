"""After a fork the child has no tasks of its parent's run: nor has it their names."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from support.processes import in_a_fork, run_in_a_new_thread
from support.registry_kinds import KINDS, kind_id
from support.secret_agent import SecretAgent
from support.supervisors import supervised
from trio.testing import MockClock

from trioreg import Registry

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize(("keys", "partitions"), KINDS, ids=[*map(kind_id, KINDS)])
async def test_after_a_fork_in_the_thread_of_a_run_the_child_finds_no_names_and_can_write(
    keys: Any, partitions: int, autojump_clock: MockClock
) -> None:
    names: Registry[str, int] = Registry("names", keys=keys, partitions=partitions, totals=True)

    async def write() -> None:
        names.register("plain", 3)
        assert names.total("plain") == 3
        async with names.lock("plain"), supervised() as supervisor:
            names.register("actor", 4, owner=await supervisor.start_child(SecretAgent))
            assert names.count() == 2
        assert names.count() == 1

    def check() -> None:
        assert names.count() == 0
        assert names.lookup("actor") == names.lookup("plain") == []
        assert names.keys(ref) == []
        assert names.total("plain") == 0
        run_in_a_new_thread(write)
        assert names.count() == 0

    names.register("plain", 1)
    async with names.lock("plain"), supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        names.register("actor", 2, owner=ref)
        in_a_fork(check)
        assert names.count() == 2
        assert names.whereis("actor") is ref if keys == "unique" else names.keys(ref) == ["actor"]
