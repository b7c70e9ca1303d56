"""`Wildcard`: a pattern of topics, as in AMQP."""

from __future__ import annotations

from typing import Any, Never, final

import attrs

ONE_WORD = "*"
ANY_WORDS = "#"


def _check(_: object, __: object, pattern: Any) -> None:
    if not isinstance(pattern, str):
        raise TypeError(f"the pattern of a Wildcard must be a str, not {pattern!r}")
    for word in pattern.split("."):
        if len(word) > 1 and (ONE_WORD in word or ANY_WORDS in word):
            raise ValueError(f"'*' and '#' stand for whole words, between dots: {pattern!r} has the word {word!r}")


@final
@attrs.frozen(repr=False)
class Wildcard:
    """A pattern of topics, to subscribe to all that match: ``Wildcard("nyse.*")``.

    Topics that are a str are words with dots between them. In a pattern, ``*`` stands for exactly one word, and ``#``
    for any number of words, none included. Other topics match no pattern. The idea is AMQP's topic exchange.

    =====================  ==========================================  =========================
    pattern                matches                                     does not match
    =====================  ==========================================  =========================
    ``"nyse.*"``           ``"nyse.ibm"``                              ``"nyse"``, ``"nyse.a.b"``
    ``"sensor.#"``         ``"sensor"``, ``"sensor.3.temperature"``    ``"sensors.3"``
    ``"*.error"``          ``"web.error"``                             ``"error"``, ``"web.a.error"``
    ``"#"``                every str
    =====================  ==========================================  =========================

    It can't be subclassed.

    Attributes:
        pattern: The pattern.

    Raises:
        TypeError: The pattern is not a str.
        ValueError: ``*`` or ``#`` is only a part of a word.
    """

    pattern: str = attrs.field(validator=_check)

    def __init_subclass__(cls) -> Never:
        raise TypeError(f"{cls.__qualname__}: Wildcard can't be subclassed, as a topic is found by its pattern alone")

    def __repr__(self) -> str:
        return f"Wildcard({self.pattern!r})"

    @property
    def words(self) -> list[str]:
        """The words of the pattern."""
        return self.pattern.split(".")

    def matches(self, topic: object) -> bool:
        """Whether a topic matches.

        Not a checkpoint; safe from any thread. The cost grows with the words of the topic, times the words of the
        pattern.
        """
        if not isinstance(topic, str):
            return False
        # `possible[n]`: the words of the topic so far match the first n words of the pattern.
        words = self.words
        possible = [True]
        for word in words:
            possible.append(possible[-1] and word == ANY_WORDS)
        for name in topic.split("."):
            before = possible
            possible = [False]
            for number, word in enumerate(words):
                if word == ANY_WORDS:
                    possible.append(possible[number] or before[number + 1])
                else:
                    possible.append(before[number] and word in (ONE_WORD, name))
        return possible[-1]
