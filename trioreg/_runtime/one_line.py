"""A text of the user's as a part of one line: `one_line`."""


def one_line(text: str) -> str:
    """The text without line breaks, control characters and lone surrogates: these are shown as Python writes them.

    A name with a line break must not look like two, and any stream must be able to take the text.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
