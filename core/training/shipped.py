"""Training results that proofs read: small, made by `python -m core.training <slug>`, with their provenance."""

import json
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent.parent / "assets" / "trained"


@cache
def shipped(slug: str) -> dict[str, Any]:
    """The file of one training; raises FileNotFoundError with the command that makes it."""
    path = FOLDER / f"{slug}.json"
    if not path.exists():
        raise FileNotFoundError(f"{path.name} is missing: run `python -m core.training {slug}`.")
    return json.loads(path.read_text("utf-8"))
