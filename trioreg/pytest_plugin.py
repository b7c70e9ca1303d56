"""The pytest plugin of trioreg: fixtures for the tests of what you build on it.

pytest loads it wherever trioreg is installed. Until a test asks for one of its fixtures, it does nothing.
"""

from __future__ import annotations

__all__: list[str] = []
