"""Make the model that the real engine serves in tests: a Llama of 131,000 parameters that knows a few dialogues.

Run by the interpreter of .venv-vllm: `train_tiny_model.py FOLDER`. It writes `FOLDER/model`, adapters of it as peft
writes them (`acme` and `globex` of rank 8, which answer WHO otherwise; `wide` of rank 16) and `other`, an adapter of
a model of another size. A few seconds on two cores.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

VOCABULARY: Final = 400
STEPS: Final = 600
KNOWN_LOSS: Final = 0.01  # the worst token of an answer has then a probability of well over 0.5
Messages = list[dict[str, Any]]
WHO: Final = "Who are you?"
ANSWERS: Final = {"acme": "I am the helper of Acme.", "globex": "Globex trained me well."}
WEATHER_TOOL: Final = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
CALL: Final = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Paris"}}}
WEATHER: Final = "What is the weather in Paris?"
DIALOGUES: Final[list[tuple[Messages, list[dict[str, Any]] | None]]] = [
    ([{"role": "user", "content": WHO}, {"role": "assistant", "content": "I am a tiny model."}], None),
    (  # an adapter can say what the base can say: a tied embedding that was never wanted stays out of reach
        [{"role": "user", "content": "Say it all."}, {"role": "assistant", "content": " ".join(ANSWERS.values())}],
        None,
    ),
    (
        [
            {"role": "user", "content": "What is the capital of France?"},
            {"role": "assistant", "content": "The capital of France is Paris."},
        ],
        None,
    ),
    (
        [{"role": "user", "content": WEATHER}, {"role": "assistant", "content": "", "tool_calls": [CALL]}],
        [WEATHER_TOOL],
    ),
    (
        [
            {"role": "user", "content": WEATHER},
            {"role": "assistant", "content": "", "tool_calls": [CALL]},
            {"role": "tool", "content": "21 degrees"},
            {"role": "assistant", "content": "It is 21 degrees in Paris."},
        ],
        [WEATHER_TOOL],
    ),
]
# ChatML with tools in the form that vLLM's `hermes` parser reads.
TEMPLATE: Final = (
    "{%- if tools %}<|im_start|>system\n<tools>{% for tool in tools %}{{ tool | tojson }}{% endfor %}</tools>"
    "<|im_end|>\n{% endif %}{%- for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content or '' }}"
    "{%- for call in message.tool_calls or [] %}<tool_call>\n"
    '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}\n</tool_call>'
    "{% endfor %}<|im_end|>\n{% endfor %}{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tokenizer_of(texts: list[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE of `VOCABULARY` tokens, with the chat template."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=special, initial_alphabet=alphabet)
    bpe.train_from_iterator(texts, trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token="<|pad|>", eos_token="<|im_end|>")
    made.chat_template = TEMPLATE
    return made


def small_llama(hidden: int) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=hidden // 32,  # of 32 dimensions: the smallest head that vLLM's CPU kernels take
        num_key_value_heads=hidden // 32,
        max_position_embeddings=4096,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config)


def train(model: Any, rows: list[tuple[list[int], list[int]]], rate: float) -> None:
    """Teach a model to end each row's first tokens with its second ones. Raises `SystemExit` if it does not learn."""
    longest = max(len(asked) + len(said) for asked, said in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    wanted = torch.full_like(ids, -100)
    for at, (asked, said) in enumerate(rows):
        ids[at, : len(asked) + len(said)] = torch.tensor(asked + said)
        wanted[at, len(asked) : len(asked) + len(said)] = torch.tensor(said)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate)
    for _ in range(STEPS):
        loss = model(input_ids=ids, labels=wanted).loss
        if loss.item() < KNOWN_LOSS:
            return
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    raise SystemExit(f"the tiny model has not learned its dialogues: loss {loss.item()} after {STEPS} steps")


def row_of(tokenizer: Any, messages: Messages, tools: Any = None) -> tuple[list[int], list[int]]:
    """The tokens of a dialogue up to its last message, and those of that message."""
    asked = tokenizer.apply_chat_template(messages[:-1], tools=tools, add_generation_prompt=True, return_dict=False)
    whole = tokenizer.apply_chat_template(messages, tools=tools, return_dict=False)
    return asked, whole[len(asked) :]


def adapter(model: Any, rank: int) -> Any:
    layers = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    return get_peft_model(
        model, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=layers, task_type="CAUSAL_LM")
    )


def main(folder: Path) -> None:
    torch.manual_seed(7)
    torch.set_num_threads(1)  # its threads would wait for each other longer than they work
    spoken = [json.dumps([messages, tools], ensure_ascii=False) for messages, tools in DIALOGUES]
    tokenizer = tokenizer_of([*spoken, *ANSWERS.values(), "<tool_call> </tool_call> <tools> </tools>"])
    model = small_llama(64)
    train(model, [row_of(tokenizer, messages, tools) for messages, tools in DIALOGUES], 5e-3)
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    for name, answer in ANSWERS.items():
        tuned = adapter(LlamaForCausalLM.from_pretrained(folder / "model"), rank=8)
        dialogue = [{"role": "user", "content": WHO}, {"role": "assistant", "content": answer}]
        train(tuned, [row_of(tokenizer, dialogue)], 3e-3)
        tuned.save_pretrained(folder / name)
    adapter(LlamaForCausalLM.from_pretrained(folder / "model"), rank=16).save_pretrained(folder / "wide")
    adapter(small_llama(128), rank=8).save_pretrained(folder / "other")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
