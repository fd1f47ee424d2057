"""Settling: what a request has used is counted in the ledger's database and told to the counters."""
