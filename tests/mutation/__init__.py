"""Mutation tests: the runtime is made wrong in one place, and a test has to fail. `nox -s mutation` runs them.

Read `run.py` first. A mutant that no test kills is killed by a new test, or explained in `survivors.toml`.
"""
