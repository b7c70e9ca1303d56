"""All pages, in the order of the menu."""

from __future__ import annotations

from .overview import PAGE as OVERVIEW
from .page import Page
from .tree import PAGE as TREE

PAGES: tuple[Page, ...] = (OVERVIEW, TREE)
