"""The directory: what the database says of tenants, keys and people, on each host's disk and in its workers' memory.

`headgate/directory/writer.py` writes the file, control is who calls it; everybody else follows.
"""
