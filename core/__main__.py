"""`python -m core` lists the questions in the order of the course, `python -m core 2 4` prints answers that measure themselves."""

import argparse
import io
import sys
import textwrap
import time

import torch

from core.course import Concept, Correction, Evidence, Sentence, course, slugs, topics


def verdict(claim: Sentence | Correction) -> tuple[bool, Evidence | Exception]:
    """Whether the claim holds now, and the evidence; an exception inside a proof is a failed proof."""
    try:
        evidence = claim.evidence()
    except Exception as error:
        return False, error
    return evidence.holds, evidence


def wrapped(mark: str, text: str) -> str:
    return textwrap.fill(text, 100, initial_indent=f"  {mark} ", subsequent_indent="    ")


def show(answered: Concept) -> int:
    """Print one answer with the live number behind each claim; returns how many proofs failed."""
    failed = 0

    def tell(claim: Sentence | Correction) -> None:
        nonlocal failed
        holds, evidence = verdict(claim)
        failed += not holds
        print(wrapped("✓" if holds else "✗", claim.text), f"    {evidence}", sep="\n")

    print(f"\n{answered.topic.number}. {answered.topic.question}\n")
    if answered.short:
        tell(answered.short)
    print("\nIn 30 seconds")
    for sentence in answered.sentences:
        if sentence.proof:
            tell(sentence)
        else:
            print(wrapped("§", sentence.text), *(f"    {source}" for source in sentence.sources), sep="\n")
    print("\nThe usual answer, checked")
    for judged in answered.judgements:
        print(wrapped("–", f"“{judged.usual}” {judged.verdict.upper()}"))
        if judged.better:
            print(wrapped(" ", judged.better))
    print("\nLook closer")
    for look in answered.looks:
        tell(look.claim)
    print("\nAlso often said, more exactly")
    for correction in answered.corrections:
        print(wrapped("–", f"“{correction.said}”"))
        tell(correction)
    print("\nPush-back")
    for push in answered.push_backs:
        print(wrapped("?", push.question), wrapped(" ", push.answer), sep="\n")
    return failed


def main(arguments: list[str] | None = None) -> int:
    # One thread: the proofs are many small products, and threads that wait for each other took twenty times as long.
    torch.set_num_threads(1)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a console that knows no “√” shows “?” and goes on
        sys.stdout.reconfigure(errors="replace")
    parser = argparse.ArgumentParser(prog="python -m core", description=__doc__)
    parser.add_argument("questions", nargs="*", help="numbers, or `all`; without any, the list of questions")
    wanted = parser.parse_args(arguments).questions
    if not wanted:
        answered = set(slugs())
        for row in topics():
            print(f"{row.number:3}  {row.question}" + ("" if row.slug in answered else "  (no lesson yet)"))
        return 0
    begin = time.perf_counter()
    by_number = {str(one.topic.number): one for one in course()}
    missing = [word for word in wanted if word != "all" and word not in by_number]
    if missing:
        print(
            f"There is no answered question {', '.join(map(repr, missing))}; `python -m core` lists them.",
            file=sys.stderr,
        )
        return 2
    chosen = list(by_number.values()) if "all" in wanted else [by_number[word] for word in dict.fromkeys(wanted)]
    failed = sum(show(one) for one in chosen)
    claims = sum(len(one.claims) for one in chosen)
    print(f"\n{claims - failed} of {claims} claims hold, measured in {time.perf_counter() - begin:.1f} s.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
