"""The long runs: ``nox -s soak``. `__main__.py` is the command, `parts.py` says what a part is."""
