"""PubSub: topics, and who gets what is published to them.

Read first: `pubsub.py` (the class that you use) and its parts, `subscribing.py` and `presence.py`; then
`subscription.py` (what a topic keeps for each subscriber). `publishing.py` tells an audience, `wildcard.py` and
`trie.py` find the patterns that a topic matches.

The subscriptions are the entries of a registry with duplicate keys, so they end with their owners. Other wings import
from here, not from the files.
"""

from .pubsub import PubSub
from .wildcard import Wildcard

__all__ = ["PubSub", "Wildcard"]
