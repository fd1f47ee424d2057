"""The database of identity and control, and all SQL there is: SQLite in the state directory, or PostgreSQL.

`store.Store` opens it; the modules beside it read and change a kind of row each, in `Store.read` or `Store.write`.
docs/control.md says how it behaves.
"""
