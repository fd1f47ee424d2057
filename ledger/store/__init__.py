"""The store of all requests: ClickHouse, or chdb in the state directory."""
