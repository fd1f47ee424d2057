"""The keys of tokens' issuers, kept for the workers."""
