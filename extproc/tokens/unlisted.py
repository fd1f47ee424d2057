"""Members of a body that its API does not list: engines may put them into the prompt (vLLM's `documents`). Pure.

Nobody knows what a model sees of them. They are reserved by their length, so that what a provider reports of them is
within a reservation; a count that has them is no measure of the tokenizer's.
"""

from collections.abc import Mapping

from extproc.document import Member

# Shorter ones are numbers and switches.
_FROM_CHARS = 200
_CHARS_PER_TOKEN = 3  # of JSON; English has four, most other scripts two or three

# As the APIs' references have them, but for what is prompt and counted nowhere else: `prediction` of OpenAI's,
# `mcp_servers` and `output_config` of Anthropic's.
_ALL = {"model", "stream", "temperature", "top_p", "stop", "seed", "user", "metadata", "service_tier", "max_tokens"}
_OPENAI = {*_ALL, "frequency_penalty", "logit_bias", "logprobs", "n", "presence_penalty", "stream_options"}
_MESSAGES = {*_ALL, "messages", "system", "tools", "tool_choice", "thinking", "stop_sequences", "top_k", "container"}
_LISTED = {
    "chat": {
        *_OPENAI,
        *("messages", "tools", "tool_choice", "functions", "function_call", "response_format", "audio", "modalities"),
        *("max_completion_tokens", "moderation", "parallel_tool_calls", "prompt_cache_key", "prompt_cache_options"),
        *("prompt_cache_retention", "reasoning_effort", "safety_identifier", "store", "top_logprobs", "verbosity"),
        "web_search_options",
    },
    "completions": {*_OPENAI, "prompt", "suffix", "best_of", "echo", "max_completion_tokens"},
    "embeddings": {"model", "input", "dimensions", "encoding_format", "user"},
    "messages": {*_MESSAGES, "context_management", "inference_geo", "speed"},
}


def unlisted_tokens(surface: str, members: Mapping[str, Member]) -> int:
    """Tokens that the members which this surface does not have may be in the prompt; 0 for a few characters."""
    listed = _LISTED.get(surface, members.keys())
    chars = sum(member.end - member.start for name, member in members.items() if name not in listed)
    return -(-chars // _CHARS_PER_TOKEN) if chars > _FROM_CHARS else 0
