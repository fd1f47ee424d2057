"""The spool as the ledger reads it: lines, files, the folder, the follower, rotation."""
