"""A bank: an actor for each account that is in use, and all accounts in an SQLite file. Read it from the top down.

accounts.py    what callers use: `Bank`, and `Account`, the actor of an account number
database.py    the ledger off the event loop: one connection, one thread at a time
ledger.py      the SQL: a transfer is one transaction
transfer.py    what a transfer is, and which ones there cannot be
refusals.py    the errors that are answers, and no crashes
traffic.py     many transfers at once, for the story and the tests
"""
