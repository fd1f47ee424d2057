"""vLLM, started by `headgate up`. It lives in an environment of its own and is never imported here."""
