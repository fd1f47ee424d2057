"""The one shared feed: how targets are, how fast, how busy, and how far counts of prompts are off. From the ledger's
process over the counters' pub/sub to every worker.

`headgate.feed.subscriber.start()` in a worker gives the states that a plan goes by; `headgate.feed.publisher` is the
writer's side. Workers import this package: nothing in it may need what makes Envoy's configuration.
"""
