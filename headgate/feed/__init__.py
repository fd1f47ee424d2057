"""The one shared feed, over the counters' pub/sub to every worker: how targets are, how fast, how busy, and how far
counts of prompts are off, from the ledger's process; how the replicas of engines are, from the one that watches them.

`headgate.feed.subscriber.start()` in a worker gives the states that a plan goes by; `headgate.feed.publisher` is the
writer's side. Workers import this package: nothing in it may need what makes Envoy's configuration.
"""
