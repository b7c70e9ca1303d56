"""A trie of wildcards. It finds the wildcards that match a topic, and does not look at the others.

Each node stands for the words on the way to it. A search follows all nodes that the words of the topic can lead to, a
word at a time, so its cost grows with the words and the matches, and not with the wildcards in the trie.
"""

from __future__ import annotations

from .wildcard import ANY_WORDS, ONE_WORD, Wildcard


class _Node:
    """A place in the trie.

    Attributes:
        children: The next nodes, by their word.
        wildcard: The wildcard that ends here; None if there is none.
        repeats: Whether the word of this node is ``#``: the search may stay here for any number of words.
    """

    __slots__ = ("children", "repeats", "wildcard")

    def __init__(self, word: str | None) -> None:
        self.children: dict[str, _Node] = {}
        self.wildcard: Wildcard | None = None
        self.repeats = word == ANY_WORDS


class Trie:
    """Any number of wildcards, each once.

    Attributes:
        size: How many there are. A publication asks for it, without a call of ``__len__``.
    """

    __slots__ = ("_root", "size")

    def __init__(self) -> None:
        self._root = _Node(None)
        self.size = 0

    def __len__(self) -> int:
        return self.size

    def add(self, wildcard: Wildcard) -> None:
        """Put a wildcard in; nothing happens if it is there. The cost grows with its words."""
        node = self._root
        for word in wildcard.words:
            child = node.children.get(word)
            if child is None:
                child = node.children[word] = _Node(word)
            node = child
        if node.wildcard is None:
            node.wildcard = wildcard
            self.size += 1

    def remove(self, wildcard: Wildcard) -> None:
        """Take a wildcard out; nothing happens if it is not there. The cost grows with its words."""
        way: list[tuple[_Node, str]] = []
        node = self._root
        for word in wildcard.words:
            child = node.children.get(word)
            if child is None:
                break  # what is left of an `add` that failed may be on the way
            way.append((node, word))
            node = child
        else:
            if node.wildcard is not None:
                node.wildcard = None
                self.size -= 1
        for parent, word in reversed(way):
            child = parent.children[word]
            if child.children or child.wildcard is not None:
                break
            del parent.children[word]

    def find(self, topic: str) -> list[Wildcard]:
        """The wildcards that a topic matches, in no order. The cost grows with the words and with what matches them."""
        # The nodes that the words so far can lead to. A dict, as two ways may lead to one node.
        here: dict[_Node, None] = {}
        _enter(here, self._root)
        for word in topic.split("."):
            before, here = here, {}
            for node in before:
                if node.repeats:
                    _enter(here, node)
                for step in (word, ONE_WORD) if word != ONE_WORD else (word,):
                    child = node.children.get(step)
                    if child is not None and not child.repeats:
                        _enter(here, child)
            if not here:
                return []
        return [node.wildcard for node in here if node.wildcard is not None]


def _enter(nodes: dict[_Node, None], node: _Node | None) -> None:
    """Add a node, and those behind it for which no word is needed."""
    while node is not None and node not in nodes:
        nodes[node] = None
        node = node.children.get(ANY_WORDS)
