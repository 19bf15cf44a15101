"""One memory for results, with one budget in bytes: what was used least recently goes first.

Forty visitors and a link that somebody changes on purpose ask for many results, and each may be megabytes: a cache that
counts entries does not bound them. So everything that is kept between two runs of a page is kept here.
"""

import functools
import inspect
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import is_dataclass
from typing import Any, ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")

BUDGET = 128 * 2**20  # bytes
LARGEST = BUDGET // 8  # a single result above this is computed anew each time


def size_of(value: Any, seen: set[int] | None = None) -> int:
    """The bytes that a result keeps alive; storage that two tensors share counts once.

    >>> import torch
    >>> size_of(torch.zeros(1000)) >= 4000
    True
    >>> x = torch.zeros(1000)
    >>> size_of((x, x[:10])) < 6000
    True
    """
    seen = set() if seen is None else seen
    torch = sys.modules.get("torch")  # not imported here: the question is painted before PyTorch is there
    if torch is not None and isinstance(value, torch.Tensor):
        storage = value.untyped_storage()
        if storage.data_ptr() in seen:
            return 64
        seen.add(storage.data_ptr())
        return storage.nbytes() + 64
    if id(value) in seen:
        return 8
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        return (value if value.base is None else value.base).nbytes + 64
    if isinstance(value, dict):
        return 64 + sum(size_of(k, seen) + size_of(v, seen) for k, v in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return 64 + sum(size_of(item, seen) + 8 for item in value)
    if is_dataclass(value) or hasattr(value, "__dict__"):
        return 64 + sum(size_of(v, seen) for v in vars(value).values())
    return sys.getsizeof(value)


class Memory:
    """Results by key, within a budget in bytes.

    >>> small = Memory(budget=3000, largest=2000)
    >>> [small.get(name, lambda: bytes(1000)) and small.bytes < 3000 for name in "abc"]
    [True, True, True]
    >>> "a" in small, "c" in small
    (False, True)
    """

    def __init__(self, budget: int = BUDGET, largest: int = LARGEST) -> None:
        self.budget, self.largest, self.bytes = budget, largest, 0
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def get(self, key: Hashable, compute: Callable[[], R], most: int | None = None) -> R:
        """What is kept under the key, or what `compute` returns; results of more than `most` bytes are not kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
        value = compute()  # outside the lock: two visitors may compute the same, none waits for another
        size = size_of(value) + size_of(key)
        if size > min(self.largest, self.largest if most is None else most):
            return value
        with self._lock:
            self.bytes += size - self._kept.pop(key, (None, 0))[1]
            self._kept[key] = (value, size)
            while self.bytes > self.budget:
                self.bytes -= self._kept.popitem(last=False)[1][1]
        return value

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self.bytes = 0


MEMORY = Memory()


def remember(function: Callable[P, R]) -> Callable[P, R]:
    """Keep the results of a pure function in the one memory. Arguments are hashable; nobody changes a result."""
    name, signature = f"{function.__module__}.{function.__qualname__}", inspect.signature(function)

    @functools.wraps(function)
    def remembered(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return MEMORY.get((name, *bound.arguments.values()), lambda: function(*args, **kwargs))

    return remembered
