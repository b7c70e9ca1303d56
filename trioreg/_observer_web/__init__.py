"""The observer on the web: an ASGI application with its pages, its live streams and its rules of security.

Must never happen: a request that is answered without the token; a client that slows the program.
"""
