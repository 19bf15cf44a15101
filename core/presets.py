"""Published models as rows of numbers from their configurations. What they add up to is computed, never stored.

A family says what its models share; a row says in which numbers they differ. "Decoder", "encoder" and
"encoder-decoder" models are counted as they are published: GPT-like models with their output head, BERT-like models
with their pooler and without a head for masked words.
"""

from dataclasses import dataclass, replace

from core.ops.counting import Architecture


@dataclass(frozen=True)
class Preset:
    name: str
    family: str
    architecture: Architecture


def family(name: str, base: Architecture, **models: dict[str, object]) -> list[Preset]:
    raise NotImplementedError
