"""A client of the admin API, for the command line: where it is, with which key, what its answers mean.

`client` alone does IO over the network and loads httpx2; it is imported when a command runs, never for `--help`.
"""
