"""What can be done to an actor from a page: a question first, then a form that is good once."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import trio

from .._observer import BadParam, NotThere, Page, Params, act
from .answers import Refused, refused
from .guard import form_of
from .sessions import BadForm

if TYPE_CHECKING:
    from .guard import Asked
    from .state import State


async def question(actor: Page, asked: Asked, state: State) -> dict[str, object]:
    """What the page asks before the action: the data of its template.

    Args:
        actor: The page of an actor, which says what is possible now.
        asked: The request: its parameters are ``action`` and ``number``.
        state: The run.

    Raises:
        Refused: There is no such action, or no such actor any more.
    """
    try:
        name, number = _asked_for(asked.params)
        data = cast("Mapping[str, Any]", await actor.view(state.observation, Params({"number": f"{number}"})))
    except (BadParam, NotThere) as error:
        raise refused(error) from None
    for action in data["actions"]:
        if action["name"] == name:
            return {
                "action": action,
                "number": number,
                "label": data["row"]["label"],
                "token": state.sessions.form_token(asked.session, name, number, trio.current_time()),
            }
    raise Refused(400, f"{name} is not possible for actor #{number} now.")


async def answer(actor: Page, asked: Asked, state: State) -> dict[str, object]:
    """Do it. Returns the data of the template that says what happened, and leads back to the actor, or its next life.

    Raises:
        Refused: The form is not valid, or no more; or the action is not possible any more.
    """
    if asked.content_type != "application/x-www-form-urlencoded":
        raise Refused(415, "The body must be a form.")
    form = form_of(asked.body)
    try:
        name, number = _asked_for(form)
        # It is used up before anything is done: a second one that comes meanwhile does nothing.
        state.sessions.spend(form.get("token", ""), asked.session, name, number, trio.current_time())
        sentence = await act(state.observation, name, number)
    except BadForm as error:
        raise Refused(403, f"{error}") from None
    except (BadParam, NotThere) as error:
        raise refused(error) from None
    return {"sentence": sentence, **await _life_now(actor, state, number)}


async def _life_now(actor: Page, state: State, number: int) -> dict[str, object]:
    """The number and the label of the life that has the place of an actor now: of the last one, if there is none."""
    found: dict[str, object] = {"number": None, "label": ""}
    following: int | None = number
    with suppress(NotThere):
        for _ in range(2):  # a page that is older than the next life leads to it as well
            if following is not None:
                params = Params({"number": f"{following}"})
                data = cast("Mapping[str, Any]", await actor.view(state.observation, params))
                found = {"number": following, "label": data["row"]["label"]}
                following = data["next_number"]
    return found


def _asked_for(texts: Mapping[str, str]) -> tuple[str, int]:
    params = Params(texts)
    return params.text("action"), params.whole("number")
