"""The site: what a request may be, and how it is answered, for people and for programs."""

import json
import re
from html import escape
from urllib.parse import parse_qs

import trio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from trioreg import ActorExited, CrashedTooOften, NotRunning, observer

from .carts import MOST, PRICES, Cart, Declined, carts

LONGEST_BODY = 10_000  # bytes
BODY_SECONDS = 10  # until all of it has come


def customer_of(request: Request) -> str:
    customer: str = request.path_params["customer"]
    if not re.fullmatch(r"[a-z0-9-]{1,40}", customer):
        raise HTTPException(400, "the name of a customer is 1 to 40 of the characters a-z, 0-9 and -")
    return customer


async def body_of(request: Request) -> bytes:
    """The body. It is read to its end even if it is too long, or the client sees a broken connection, and no answer."""
    body, size = b"", 0
    try:
        with trio.fail_after(BODY_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                body += chunk if size <= LONGEST_BODY else b""
    except trio.TooSlowError:
        raise HTTPException(408, f"the body of a request must come within {BODY_SECONDS} seconds") from None
    if size > LONGEST_BODY:
        raise HTTPException(413, f"the body of a request is at most {LONGEST_BODY} bytes long")
    return body


def order_of(thing: str, count: int) -> tuple[str, int]:
    if thing not in PRICES:
        raise HTTPException(404, f"there is no such thing: this shop has {', '.join(PRICES)}")
    if not 1 <= count <= MOST or isinstance(count, bool):
        raise HTTPException(400, f"the count must be from 1 to {MOST}")
    return thing, count


async def api_show(request: Request) -> Response:
    return JSONResponse(await carts.via(customer_of(request)).call(Cart.contents))


async def api_add(request: Request) -> Response:
    customer = customer_of(request)
    try:
        order: object = json.loads(await body_of(request))
    except (ValueError, RecursionError):  # no JSON, no UTF-8, or brackets a thousand deep
        order = None
    match order:
        case {"thing": str(thing), "count": int(count)}:
            return JSONResponse(await carts.via(customer).call(Cart.add, *order_of(thing, count)))
        case _:
            raise HTTPException(400, 'the body must be JSON, such as {"thing": "tea", "count": 2}')


async def api_share(request: Request) -> Response:
    return JSONResponse({"each": await carts.via(customer_of(request)).call(Cart.share, people_of(request))})


async def api_pay(request: Request) -> Response:
    return JSONResponse(await carts.via(customer_of(request)).call(Cart.pay))


def people_of(request: Request) -> int:
    return number_of(request.query_params.get("people", ""))


def number_of(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise HTTPException(400, "a number has 1 to 9 digits")
    return int(text)


async def home(request: Request) -> Response:
    if customer := request.query_params.get("customer"):
        return RedirectResponse(f"/carts/{customer}", 303)
    return page("The shop", '<form><label>Your name <input name="customer"></label> <button>Shop</button></form>')


async def show(request: Request) -> Response:
    customer = customer_of(request)
    contents = await carts.via(customer).call(Cart.contents)
    rows = "".join(
        f"<tr><td>{thing}<td>{contents['items'].get(thing, 0)}<td>{price / 100:.2f}"
        f'<td><form method="post"><input type="hidden" name="thing" value="{thing}">'
        f'<button name="count" value="1">Add one</button></form>'
        for thing, price in PRICES.items()
    )
    pay = f'<form method="post" action="{customer}/pay"><button>Pay {contents["total"] / 100:.2f}</button></form>'
    people = '<input name="people" value="2" size="2"> people'
    split = f'<form action="{customer}/share"><button>Share it</button> between {people}</form>'
    return page(f"The cart of {customer}", f"<table><tr><th>thing<th>count<th>price<th>{rows}</table>{pay}{split}")


async def add(request: Request) -> Response:
    customer = customer_of(request)
    form = parse_qs((await body_of(request)).decode(errors="replace"))
    order = order_of(form.get("thing", [""])[0], number_of(form.get("count", [""])[0]))
    await carts.via(customer).call(Cart.add, *order)
    return RedirectResponse(f"/carts/{customer}", 303)


async def pay(request: Request) -> Response:
    await carts.via(customer_of(request)).call(Cart.pay)
    return RedirectResponse(f"/carts/{request.path_params['customer']}", 303)


async def share(request: Request) -> Response:
    each = await carts.via(customer_of(request)).call(Cart.share, people_of(request))
    return page("Share it", f"<p>Each pays {each / 100:.2f}</p>")


async def refuse(request: Request, error: Exception) -> Response:
    """A sentence for each error: as JSON for programs, and as a page for people."""
    match error:
        case HTTPException():
            status, sentence = error.status_code, error.detail
        case Declined():
            status, sentence = 409, str(error)
        case CrashedTooOften():
            status, sentence = 503, f"this cart has crashed too often: try again in {error.retry_after:.0f} seconds"
        case NotRunning():
            status, sentence = 503, "the shop closes"
        case ClientDisconnect():
            status, sentence = 400, "the request has ended too early"
        case _:
            status, sentence = 500, "the cart has crashed: what is in it is saved, so try again"
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": sentence}, status)
    return page("This does not work", f"<p>{escape(sentence)}</p>", status)


def page(title: str, body: str, status: int = 200) -> Response:
    style = "body { font: 1.1rem system-ui; margin: 3rem } td, th { padding: 0.2rem 1rem; text-align: left }"
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{style}</style>'
    text = f"{head}<h1>{escape(title)}</h1>{body}<p><a href='/'>Another customer</a></p>"
    # In a frame of another site, you would not see what you pay for.
    return HTMLResponse(text, status, {"content-security-policy": "frame-ancestors 'none'"})


pages = observer.app()
site = Starlette(
    routes=[
        Route("/", home),
        Route("/carts/{customer}", show),
        Route("/carts/{customer}", add, methods=["POST"]),
        Route("/carts/{customer}/pay", pay, methods=["POST"]),
        Route("/carts/{customer}/share", share),
        Route("/api/carts/{customer}", api_show),
        Route("/api/carts/{customer}", api_add, methods=["POST"]),
        Route("/api/carts/{customer}/share", api_share),
        Route("/api/carts/{customer}/pay", api_pay, methods=["POST"]),
        Mount("/observer", pages),
    ],
    exception_handlers=dict.fromkeys(
        [HTTPException, ClientDisconnect, Declined, ActorExited, CrashedTooOften, NotRunning], refuse
    ),
)
