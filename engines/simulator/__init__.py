"""An OpenAI-compatible engine without a model: deterministic text, realistic timing, failures on demand.

In the order of the flow: bodies, faults → answer (text, schema, usage) → reply, stream, embeddings
→ frames, send. app has the routes, record what was seen, serve the process. Everything before send is pure.
"""
