"""The observer's pages in a real browser: `nox -s browser`."""
