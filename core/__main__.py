"""`python -m core` lists the questions, `python -m core 2` prints an answer that measures itself."""

import argparse
import sys
import textwrap
import time

from core.course import Concept, Correction, Evidence, Sentence, concept, course, slugs, topics


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
    """Print one answer with the live number behind each sentence; returns how many proofs failed."""
    failed = 0
    print(f"\n{answered.topic.number}. {answered.topic.question}\n")
    for sentence in answered.sentences:
        if sentence.proof is None:
            print(wrapped("§", sentence.text), *(f"    {source}" for source in sentence.sources), sep="\n")
            continue
        holds, evidence = verdict(sentence)
        failed += not holds
        print(wrapped("✓" if holds else "✗", sentence.text), f"    {evidence}", sep="\n")
    print("\nOften said, more exactly")
    for correction in answered.corrections:
        holds, evidence = verdict(correction)
        failed += not holds
        print(wrapped("–", f"“{correction.said}”"), wrapped("✓" if holds else "✗", correction.better), sep="\n")
        print(f"    {evidence}")
    print("\nPush-back")
    for push in answered.push_backs:
        print(wrapped("?", push.question), wrapped(" ", push.answer), sep="\n")
    return failed


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m core", description=__doc__)
    parser.add_argument("question", nargs="?", help="a number, or `all`; without it, the list of questions")
    wanted = parser.parse_args(arguments).question
    answered = set(slugs())
    if wanted is None:
        for row in topics():
            print(f"{row.number:3}  {row.question}" + ("" if row.slug in answered else "  (no lesson yet)"))
        return 0
    if wanted == "all":
        begin, chosen = time.perf_counter(), course()
    else:
        found = [row for row in topics() if str(row.number) == wanted and row.slug in answered]
        if not found:
            print(f"There is no answered question {wanted!r}; `python -m core` lists them.", file=sys.stderr)
            return 2
        begin, chosen = time.perf_counter(), [concept(found[0].slug)]
    failed = sum(show(one) for one in chosen)
    claims = sum(len(one.claims) for one in chosen)
    print(f"\n{claims - failed} of {claims} claims hold, measured in {time.perf_counter() - begin:.1f} s.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
