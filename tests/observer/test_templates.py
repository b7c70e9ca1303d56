"""Each template takes the data of its page, whatever texts are in them, and makes sound HTML of them."""

from __future__ import annotations

from functools import cache
from html.parser import HTMLParser
from typing import Any

import jinja2
import pytest
from support.made_up_pages import KINDS, ODD, PAGES, SCRIPT, made_up

from trioreg._observer_web.rendering import environment

TEMPLATES = environment()
MENU = [
    {"name": name, "title": name.capitalize(), "in_menu": name not in ("actor", "table"), "seconds": 1.0}
    for name in PAGES
]
each_page = pytest.mark.parametrize("page", PAGES)
each_kind = pytest.mark.parametrize("kind", KINDS)

ACTION = {"name": "kill", "title": f"Kill{SCRIPT}", "sentence": f"It ends at once.{SCRIPT}"}
OTHERS: dict[str, dict[str, Any]] = {
    "confirm.html": {"action": ACTION, "label": f"James Bond{SCRIPT}", "number": 5, "token": "abc"},
    "acted.html": {"sentence": f"It is done{SCRIPT}", "number": 5, "label": f"James Bond{SCRIPT}"},
    "error.html": {"status": 404, "sentence": f"There is no actor {SCRIPT}"},
    "no_token.html": {},
}


def context(page: str, **more: object) -> dict[str, Any]:
    here = next(it for it in MENU if it["name"] == page)
    common: dict[str, Any] = {
        "page": here,
        "pages": MENU,
        "base": "/observed",
        "read_only": False,
        "title": here["title"],
    }
    return {**common, "query": {"q": "bond", "sort": "queued", "down": "1"}, **more}


@cache
def shown(page: str, kind: str, *, whole: bool = True) -> str:
    template = TEMPLATES.get_template("page.html" if whole else f"{page}.html")
    return template.render(context(page, data=made_up(page, kind)))


class Element:
    def __init__(self, tag: str, attributes: dict[str, str | None]) -> None:
        self.tag, self.attributes, self.text = tag, attributes, ""

    def __getitem__(self, name: str) -> str:
        return self.attributes.get(name) or ""


class Reader(HTMLParser):
    """All elements of a page. An end without its begin, or a begin without its end, is an error."""

    ENDLESS = frozenset({"meta", "link", "input", "br", "img", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.all: list[Element] = []
        self.open: list[Element] = []
        self.feed(text)
        self.close()
        assert not self.open, [it.tag for it in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice: {names}"
        self.all.append(Element(tag, dict(attrs)))
        if tag not in self.ENDLESS:
            self.open.append(self.all[-1])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"the end of {tag}, which has no begin"
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for it in self.open:
            it.text += data

    def those(self, *tags: str) -> list[Element]:
        return [it for it in self.all if it.tag in tags]


@cache
def reading(page: str, kind: str) -> Reader:
    return Reader(shown(page, kind))


def test_a_name_that_nobody_gives_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        TEMPLATES.get_template("page.html").render(context("actors", data={}))


@each_kind
@each_page
class TestPages:
    def test_begins_and_ends_each_element(self, page: str, kind: str) -> None:
        read = reading(page, kind)
        assert [it.text.strip() != "" for it in read.those("h1")] == [True]
        assert "lead" in [it["class"] for it in read.those("p")]

    def test_is_a_fragment_too(self, page: str, kind: str) -> None:
        fragment = shown(page, kind, whole=False)
        Reader(fragment)
        assert fragment.strip() in shown(page, kind)

    def test_has_no_inline_script_style_or_handler(self, page: str, kind: str) -> None:
        read = reading(page, kind)
        assert not read.those("style", "img", "iframe", "object", "base")
        for it in read.all:
            assert not [name for name in it.attributes if name.startswith("on") or name in ("style", "srcdoc")], (
                it.attributes
            )
            assert not [
                name for name in ("href", "src", "action") if it[name].lower().startswith(("javascript:", "http", "//"))
            ]
            assert it.tag != "script" or (it["src"].startswith("/observed/static/") and not it.text)

    def test_has_each_id_once_and_keys_apart(self, page: str, kind: str) -> None:
        read = reading(page, kind)
        ids = [it["id"] for it in read.all if it["id"]]
        assert len(ids) == len(set(ids))
        for it in read.all:
            for name in ("aria-labelledby", "aria-describedby", "for"):
                assert not it[name] or it[name] in ids
            assert it.tag != "use" or it["href"].removeprefix("#") in ids

    def test_names_all_that_one_can_use(self, page: str, kind: str) -> None:
        read = reading(page, kind)
        labelled = {it["for"] for it in read.those("label")}
        for it in read.those("input", "select", "textarea"):
            assert it["type"] == "hidden" or it["id"] in labelled
        for it in read.those("a", "button"):
            assert it.text.strip() or it["aria-label"], it.attributes
        assert len(read.those("caption")) == len(read.those("table"))
        for it in read.those("th"):
            assert it["scope"] in ("col", "row")
        for it in read.all:
            assert it["role"] not in ("region", "img") or it["aria-label"]


@each_page
def test_a_script_in_a_text_is_only_text(page: str) -> None:
    text = shown(page, "script")
    assert SCRIPT not in text
    assert "alert(1)" in text
    assert [it["src"].rpartition("/")[2] for it in Reader(text).those("script")] in (
        [["theme.js", "live.js"], ["theme.js", "live.js", "tree.js"]]
    )


@each_page
def test_a_long_name_is_whole_in_a_title_and_its_line_is_cut_by_the_style(page: str) -> None:
    cut = [it for it in Reader(shown(page, "long")).all if ODD in it["title"]]
    assert cut or page == "tree"
    assert all({"cut", "message"} & {*it["class"].split()} for it in cut)


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_pages_are_sound_and_escaped_too(name: str) -> None:
    more = {**OTHERS[name], "title": "No such actor", "base": "/observed"}
    text = TEMPLATES.get_template(name).render(more)
    read = Reader(text)
    assert len(read.those("h1")) == len(read.those("main")) == 1
    assert SCRIPT not in text
    assert not read.those("img", "style")
    assert [it["src"] for it in read.those("script")] == ["/observed/static/theme.js"]


def test_the_form_that_acts_posts_its_token() -> None:
    read = Reader(
        TEMPLATES.get_template("confirm.html").render({**OTHERS["confirm.html"], "title": "Kill", "base": ""})
    )
    assert [(it["method"], it["action"]) for it in read.those("form")] == [("post", "/act")]
    assert {it["name"]: it["value"] for it in read.those("input")} == {"action": "kill", "number": "5", "token": "abc"}


def test_a_page_is_marked_in_the_menu() -> None:
    for page, marked in (("log", "Log"), ("actor", "Actors"), ("table", "Registries")):
        current = [it for it in Reader(shown(page, "some")).those("a") if it["aria-current"]]
        assert [it.text for it in current] == [marked]


def test_a_sorted_column_says_so_and_leads_to_the_other_order() -> None:
    read = Reader(shown("actors", "some"))
    assert [(it.text.strip(), it["aria-sort"]) for it in read.those("th") if it["aria-sort"]] == [
        ("Queue", "descending")
    ]
    assert [it["href"] for it in read.those("a") if it.text.strip() == "Queue"] == ["?q=bond&sort=queued&down=0&page=1"]
