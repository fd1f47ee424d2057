"""What is charged for beside tokens, and the tokens that one stands for where nobody says. docs/limits.md has it."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit. Tokens: of a model that is priced by them, when its provider reports none."""

    input_tokens: int
    output_tokens: int


UNITS: Mapping[str, Unit] = {
    # gpt-image's largest at high quality; https://platform.openai.com/docs/guides/image-generation#cost-and-latency
    "image": Unit(0, 6_240),
    # gpt-4o-mini-tts: 1,250 tokens of sound a minute by its prices, in which people read about 900 characters aloud.
    "character": Unit(0, 2),
    # gpt-4o-transcribe: 1,000 tokens of sound a minute by its prices; people speak about 150 words in one.
    "second": Unit(17, 4),
    # Of rankings, as Cohere counts them. Only where it has a price: elsewhere rankings are charged for by tokens.
    "search": Unit(0, 0),
}
