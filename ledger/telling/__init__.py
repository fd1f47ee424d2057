"""What the spool's lines and Envoy teach about providers, told to all workers by the feed."""
