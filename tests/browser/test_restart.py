"""An observer in an application of the user's own: what its open pages do when only the server is restarted."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from support.shop_site import Shop, shop_site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page
    from support.browsers import Opens, Watch


@pytest.fixture
def shop(browser: Browser) -> Generator[Shop]:
    with shop_site() as shop:
        yield shop


def server(page: Page, number: str) -> Locator:
    return page.locator(f'a[href$="/actor?number={number}"]')


@pytest.mark.parametrize("end", [Shop.kill_server, Shop.restart_server])
def test_an_open_page_goes_on_with_the_next_server(
    end: Callable[[Shop], None], shop: Shop, opens: Opens, watch: Watch
) -> None:
    page = opens(shop, "actors")
    expect(page.locator("#status")).to_have_text("Live")
    page.evaluate("window.isTheSamePage = true")
    page.evaluate(
        "window.seen = []; new MutationObserver(() => seen.push(document.getElementById('status').textContent))"
        ".observe(document.getElementById('status'), {childList: true, characterData: true, subtree: true})"
    )
    before = shop.server()
    expect(server(page, before)).to_be_visible()
    watch.ended = True  # between the servers a request fails
    end(shop)
    expect(server(page, before)).to_have_count(0)
    expect(server(page, shop.server())).to_be_visible()
    expect(page.locator("#status")).to_have_text("Live")
    assert page.evaluate("window.isTheSamePage")
    assert "The program has ended" not in page.evaluate("window.seen")
