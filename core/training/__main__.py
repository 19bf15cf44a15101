"""`python -m core.training leak` trains the models of a lesson again and writes assets/trained/leak.json."""

import importlib
import json
import pkgutil
import sys
import time

import torch

import core.training
from core.training.shipped import FOLDER


def main(arguments: list[str]) -> int:
    modules = [m.name for m in pkgutil.iter_modules(core.training.__path__) if not m.name.startswith("_")]
    known = [m for m in modules if hasattr(importlib.import_module(f"core.training.{m}"), "result")]
    if len(arguments) != 1 or arguments[0] not in known:
        print(f"Name one of: {', '.join(known)}.", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    slug, begin = arguments[0], time.perf_counter()
    module = importlib.import_module(f"core.training.{slug}")
    result = module.result()
    FOLDER.mkdir(parents=True, exist_ok=True)
    content = {
        "command": f"python -m core.training {slug}",
        "torch": torch.__version__,
        "seconds": round(time.perf_counter() - begin, 1),
        "seeds": list(module.SEEDS),
        "result": result,
    }
    (FOLDER / f"{slug}.json").write_text(json.dumps(content) + "\n", "utf-8")
    print(f"{slug}.json: {content['seconds']} s, torch {content['torch']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
