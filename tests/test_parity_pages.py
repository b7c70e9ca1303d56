"""A reader finds each public function of the other library, by its own name, on the parity page about it.

The names are those of Elixir 1.20, OTP 28, Phoenix.PubSub 2.2 and 1.1, Phoenix 1.8, poolboy 1.5, NimblePool 1.1,
gproc and LiveDashboard 0.8: functions, callbacks and options that are documented.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"

NAMES = {
    ("registry", "Elixir's Registry, function by function"): """
        child_spec count count_match count_select delete_meta dispatch keys lock lookup match meta put_meta
        register register_name select send start_link unregister unregister_match unregister_name update_value
        values whereis_name compressed: keys: listeners: meta: name: partitions:
    """,
    ("registry", "gproc"): """
        add_local_name audit_process await bcast cancel_wait cancel_wait_or_monitor default demonitor ensure_reg
        ensure_reg_other first get_attribute get_attribute_shared get_attributes get_env get_set_env get_value
        get_value_shared give_away goodbye i info last lookup_local_name lookup_local_properties lookup_pid
        lookup_pids lookup_value lookup_values monitor mreg munreg nb_wait next prev reg reg_or_locate reg_other
        reg_remote reg_shared register_name reset_counter select select_count send set_attributes
        set_attributes_shared set_env set_value set_value_remote set_value_shared start_link table unreg
        unreg_other unreg_remote unreg_shared unregister_name update_counter update_counter_remote
        update_counters update_shared_counter where whereis_name wide_await
    """,
    ("actors", "GenServer, function by function"): """
        abcast call cast child_spec multi_call reply start start_link stop whereis code_change format_status
        handle_call handle_cast handle_continue handle_info init terminate debug: hibernate_after: name:
        spawn_opt: timeout:
    """,
    ("actors", "Agent"): "cast child_spec get get_and_update start start_link stop update",
    ("actors", "Task"): """
        async async_stream await await_many child_spec completed ignore shutdown start start_link yield
        yield_many
    """,
    ("actors", "Process"): """
        alias alive? cancel_timer delete demonitor exit flag get get_keys get_label group_leader hibernate info
        link list monitor put read_timer register registered self send send_after set_label sleep spawn
        spawn_link spawn_monitor unalias unlink unregister whereis
    """,
    ("actors", "`:sys`"): """
        change_code debug_options get_log get_state get_status handle_debug handle_system_msg install log
        log_to_file no_debug print_log remove replace_state resume statistics suspend terminate trace
    """,
    ("supervision", "Supervisor, function by function"): """
        child_spec count_children delete_child init restart_child start_child start_link stop terminate_child
        which_children check_childspecs get_childspec which_child auto_shutdown: max_restarts: max_seconds:
        name: strategy: id modules restart shutdown: significant start: type:
    """,
    ("supervision", "DynamicSupervisor, function by function"): """
        child_spec count_children init start_child start_link stop terminate_child which_children
        extra_arguments: max_children: strategy:
    """,
    ("supervision", "PartitionSupervisor, function by function"): """
        child_spec count_children partitions resize! start_link stop which_children auto_shutdown: child_spec:
        max_restarts: max_seconds: name: partitions: strategy: with_arguments:
    """,
    ("supervision", "Task.Supervisor, function by function"): """
        async async_nolink async_stream async_stream_nolink child_spec children start_child start_link
        terminate_child max_concurrency on_timeout ordered shutdown timeout zip_input_on_exit
    """,
    ("pubsub-pool", "Phoenix.PubSub, function by function"): """
        broadcast broadcast! broadcast_from broadcast_from! child_spec direct_broadcast direct_broadcast!
        direct_broadcast_from direct_broadcast_from! local_broadcast local_broadcast_from node_name subscribe
        unsubscribe dispatch adapter broadcast_pool_size fastlane: link: metadata: name: pool_size registry_size
    """,
    ("pubsub-pool", "Phoenix.Presence and Phoenix.Tracker"): """
        child_spec fetch get_by_key graceful_permdown handle_diff handle_info handle_metas init list start_link
        track untrack update
    """,
    ("pubsub-pool", "poolboy, function by function"): """
        checkin checkout child_spec start start_link status stop transaction max_overflow name size strategy:
        worker_module
    """,
    ("pubsub-pool", "NimblePool, function by function"): """
        checkout! child_spec start_link stop update handle_cancelled handle_checkin handle_checkout
        handle_enqueue handle_info handle_ping handle_update init_pool init_worker terminate_pool
        terminate_worker lazy: max_idle_pings pool_size: worker: worker_idle_timeout
    """,
    ("observer", "Erlang's Observer"): "start start_and_wait stop",
    ("observer", "etop"): "accumulate config dump help interval lines node setcookie sort start stop tracing",
    ("observer", "Phoenix LiveDashboard"): """
        additional_pages allow_destructive_actions csp_nonce_assign_key ecto_repos env_keys home_app
        live_dashboard live_socket_path metrics metrics_history on_mount request_logger
        request_logger_cookie_domain
    """,
}
"""The names of the other library, by page and section."""


def names_in(page: str, section: str) -> set[str]:
    """All names in code in the first column of the tables of a section."""
    text = (DOCS / f"parity-{page}.md").read_text(encoding="utf-8")
    _, found, rest = text.partition(f"\n## {section}\n")
    assert found, f"parity-{page}.md has no section {section!r}"
    firsts = [line.split(" | ")[0] for line in rest.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    return {
        name for first in firsts for code in re.findall(r"`([^`]+)`", first) for name in re.findall(r"\w+[?!:]?", code)
    }


@pytest.mark.parametrize(("page", "section"), NAMES, ids=[" ".join(key) for key in NAMES])
def test_a_parity_page_has_each_public_function_of_the_other_library(page: str, section: str) -> None:
    assert set(NAMES[page, section].split()) - names_in(page, section) == set()
