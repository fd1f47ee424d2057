"""The counters: Valkey's keys, the scripts that change them, and a connection made for one round trip per request.

The limiter reserves here and the ledger settles; both import names from here and know no key of their own.
"""
