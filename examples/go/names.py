"""What players may call themselves and their games."""

import re
import unicodedata

LONGEST = 20
BLANK = " \u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
"""Characters that can be printed and show nothing. A name may have them, but not only them."""


class BadName(ValueError):
    """That can't be a name. The text is for the player."""


def player_name(text: str) -> str:
    """The name without needless spaces, and with each accent in its letter: the same from a terminal and a browser.

    There are no passwords: a player who knows a name has its seats.

    Raises:
        BadName: It is empty, too long, or has characters that can't be printed.
    """
    name = unicodedata.normalize("NFC", re.sub(" +", " ", text.strip()))
    if re.fullmatch(f"[{BLANK}]*", name):
        raise BadName("a name has at least one visible character")
    if len(name) > LONGEST or not name.isprintable():
        rule = f"a name has at most {LONGEST} characters, and all of them can be printed"
        raise BadName(f"{rule}, not {shown(name)}")
    return name


def game_id(text: str) -> str:
    """The id of a game in small letters.

    Raises:
        BadName: It has characters other than letters of English, digits and "-", or it is too long.
    """
    id = text.strip().lower()
    if not re.fullmatch(f"[a-z0-9-]{{1,{LONGEST}}}", id):
        rule = f'a game has a name such as a-17: at most {LONGEST} of the characters a-z, 0-9 and "-"'
        raise BadName(f"{rule}, not {shown(text)}")
    return id


def shown(text: str) -> str:
    """What a player has written, in an answer: not too long, and without characters that change a terminal."""
    quoted = repr(text)
    return quoted if len(quoted) <= LONGEST + 2 else f"{quoted[: LONGEST + 1]}…"
