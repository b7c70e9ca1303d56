"""A count with its noun, for errors and the log: "1 message", "2 messages", "0.5 seconds"."""


def counted(count: float, noun: str) -> str:
    """The count and the noun, in the plural unless the count is 1. For nouns whose plural ends in *s*."""
    return f"{count:{',' if isinstance(count, int) else 'g'}} {noun}{'' if count == 1 else 's'}"
