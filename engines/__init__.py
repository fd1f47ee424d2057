"""Engines behind the gateway. So far the simulator: an OpenAI-compatible engine for trying and testing."""
