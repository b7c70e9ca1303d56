"""All pages, in the order of the menu."""

from __future__ import annotations

from .actor import PAGE as ACTOR
from .actors import PAGE as ACTORS
from .log import PAGE as LOG
from .overview import PAGE as OVERVIEW
from .page import Page
from .registries import PAGE as REGISTRIES
from .table import PAGE as TABLE
from .topics import PAGE as TOPICS
from .tree import PAGE as TREE

PAGES: tuple[Page, ...] = (OVERVIEW, TREE, ACTORS, ACTOR, REGISTRIES, TABLE, TOPICS, LOG)
