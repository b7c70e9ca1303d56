"""The options of a start: what is wrong with them is said in the words of the function that was called."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from support.supervisors import supervised

from trioreg import (
    Actor,
    DynamicSupervisor,
    Partitions,
    Registry,
    Supervisor,
    open_partition_supervisor,
    open_supervisor,
)


class Agent(Actor):
    pass


@pytest.mark.parametrize("option", ["naem", "significant"])
async def test_an_unknown_option_of_start_child_is_a_type_error_that_names_both(option: str) -> None:
    options: Any = {option: None}
    async with supervised() as supervisor:
        with pytest.raises(TypeError, match=rf"^Supervisor\.start_child\(\) got an unexpected keyword .*'{option}'"):
            await supervisor.start_child(Agent, **options)


@pytest.mark.parametrize("option", ["id", "naem"])
async def test_an_unknown_option_of_start_or_get_is_a_type_error_that_names_both(option: str) -> None:
    names: Registry[str, None] = Registry("names")
    options: Any = {"name": names.via("M"), option: None}
    async with supervised() as supervisor:
        with pytest.raises(
            TypeError, match=rf"^DynamicSupervisor\.start_or_get\(\) got an unexpected keyword .*'{option}'"
        ):
            await supervisor.start_or_get(Agent, **options)


@pytest.mark.parametrize("option", ["id", "naem"])
@pytest.mark.parametrize("method", ["start_child", "start_or_get"])
async def test_an_unknown_option_of_partitions_is_a_type_error_that_names_both(method: str, option: str) -> None:
    rooms: Partitions[DynamicSupervisor] = Partitions("rooms", 2)
    names: Registry[str, None] = Registry("names")
    options: Any = {"name": names.via("M"), option: None}
    with pytest.raises(TypeError, match=rf"^Partitions\.{method}\(\) got an unexpected keyword .*'{option}'"):
        await getattr(rooms, method)("key", Agent, **options)


def test_an_unknown_option_of_a_block_is_a_type_error_that_names_both() -> None:
    options: Any = {"strategie": "one_for_all"}
    with pytest.raises(TypeError, match=r"^open_supervisor\(\) got an unexpected keyword argument 'strategie'"):
        open_supervisor([], **options)
    with pytest.raises(TypeError, match=r"^open_partition_supervisor\(\) got an unexpected keyword .*'strategie'"):
        open_partition_supervisor(2, Agent, **options)


def test_a_method_of_a_supervisor_can_be_pickled_as_the_public_one() -> None:
    assert pickle.loads(pickle.dumps(DynamicSupervisor.start_child)) is Supervisor.start_child
    assert "SupervisorBase" not in repr(DynamicSupervisor.start_child)
