"""Filter workers on other hosts: one port each, by mutual TLS, for Envoy's calls and for what a worker has to know.

    contexts.py    TLS 1.3 of both sides                entrance.py   who gets in, and what he speaks
    messages.py    what the two say to each other       serving.py    the worker
    handing.py     the gateway's side of that           handed.py     the worker's side
    holdings.py    what a worker is to have

The gateway connects to its workers, never the other way round. What a worker is told goes on a disk only where its
host has no folder in memory.
"""
