"""A web shop: the carts, the site that shows them, and the server. `web_shop.py`, beside this folder, starts it."""
