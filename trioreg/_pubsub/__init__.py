"""PubSub: topics, and who gets what is published to them.

Read first: `pubsub.py` (the class that you use) and its parts, `subscribing.py` and `presence.py`; then
`subscription.py` (what a topic keeps for each subscriber). `publishing.py` tells an audience, `wildcard.py` and
`trie.py` find the patterns that a topic matches.

The subscriptions are the entries of a registry with duplicate keys, so they end with their owners. Other wings import
from here, not from the files.
"""

from .core import pubsub_of
from .pubsub import PubSub
from .subscription import Subscription
from .wildcard import Wildcard

__all__ = ["PubSub", "Subscription", "Wildcard", "pubsub_of"]
