"""An engine without a model: deterministic text, realistic timing, failures on demand; OpenAI's API, Anthropic's.

In the order of the flow: bodies, faults → answer (text, schema, usage) → reply, stream, embeddings
→ frames, send. The twins for Anthropic's API are called messages_…; shape has both in a table. Everything before
send is pure. engine has what requests share: batch (who runs, who waits), adapters, prefixes, metrics.
app and …_routes have the routes, record what was seen, serve the process.
"""
