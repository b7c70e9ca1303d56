"""The pages of the observer, in the order of its menu."""

from __future__ import annotations

from .page import Page

PAGES: tuple[Page, ...] = ()
