"""The one memory: results by key, the oldest out first, never above the budget. What lessons put into it: tests/test_readings.py."""

from dataclasses import dataclass

import pytest
import torch

from core.memory import Memory, remember, size_of


def test_the_oldest_goes_first_and_use_keeps_young() -> None:
    memory = Memory(budget=3500, largest=2000)
    for name in "abc":
        memory.get(name, lambda: bytes(1000))
    memory.get("a", lambda: pytest.fail("a is kept"))
    memory.get("d", lambda: bytes(1000))
    assert [name in memory for name in "abcd"] == [True, False, True, True]
    assert memory.bytes <= memory.budget


def test_what_is_too_large_is_returned_and_not_kept() -> None:
    memory = Memory(budget=10_000, largest=2000)
    assert len(memory.get("big", lambda: bytes(5000))) == 5000 and "big" not in memory
    assert len(memory.get("small", lambda: bytes(500), most=400)) == 500 and "small" not in memory
    assert memory.bytes == 0


def test_a_view_counts_all_that_it_keeps_alive() -> None:
    @dataclass(frozen=True)
    class Result:
        row: torch.Tensor

    assert size_of(Result(torch.zeros(1000, 1000)[0])) > 4_000_000


def test_a_function_is_remembered_by_its_arguments_however_they_are_given() -> None:
    calls = []

    @remember
    def double(x: int, times: int = 2) -> int:
        calls.append(x)
        return x * times

    assert double(2) == double(x=2) == double(2, 2) == double(2, times=2) == 4 and len(calls) == 1
    assert double(2, 3) == 6 and len(calls) == 2


def test_a_failure_is_not_remembered() -> None:
    outcomes = iter([ValueError("no"), 7])

    @remember
    def tried() -> int:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    with pytest.raises(ValueError, match="no"):
        tried()
    assert tried() == tried() == 7
