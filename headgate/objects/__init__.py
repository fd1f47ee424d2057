"""Objects: files that outlive processes and hosts, in a directory or in S3, as `services.objects` says.

`store.py` is the interface, `opening.py` makes the store. Calls block: an event loop makes them in a thread.
"""
