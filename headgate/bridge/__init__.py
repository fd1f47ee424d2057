"""Responses over WebSocket: each `response.create` of a client's connection becomes a request like anybody's.

Envoy brings the connections, their keys checked, and takes the requests: who may ask, where it goes, what it costs
and what stands in the spool is decided there, as always. A connection lives in memory alone. Which provider answers,
and with which credential, the bridge never learns.
"""
