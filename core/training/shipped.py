"""Training results that proofs read: small, made by `python -m core.training <slug>`, with their provenance."""

import json
from pathlib import Path
from typing import Any

from core.memory import remember

FOLDER = Path(__file__).parent.parent.parent / "assets" / "trained"


@remember
def shipped(slug: str) -> dict[str, Any]:
    """The file of one training; raises FileNotFoundError with the command that makes it."""
    path = FOLDER / f"{slug}.json"
    if not path.exists():
        raise FileNotFoundError(f"{path.name} is missing: run `python -m core.training {slug}`.")
    return json.loads(path.read_text("utf-8"))
