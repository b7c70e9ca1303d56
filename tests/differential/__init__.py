"""trioreg and a live Elixir, side by side: the same random operations, and each answer compared.

`python -m differential` with `tests` on PYTHONPATH, or `nox -s differential`. Read `program.py` first: it says what a
program is. `here.py` and `here_pubsub.py` run one on trioreg, `peer.exs` on Elixir's own Registry. `differences.py`
lists what differs on purpose.
"""
