"""What runs inside of vLLM's own Python, which has none of our packages: each module stands alone."""
