r"""What the lessons say, found by its words: read from their source, so that the front door needs no PyTorch.

A lesson's sentences, corrections and push-backs stand in `core/concepts/<slug>.py` as arguments of its concept
(`@concept.says("…")`). Here that file is parsed and not imported, which takes milliseconds instead of seconds.

A word is found where a word begins, so that RoPE does not find “property”; subscripts, roots and hyphens are no hurdle:

>>> find("d_k")[0].topic.slug, find("warmup")[0].topic.title
('scaling', 'Learning-rate warm-up')
"""

import ast
import copy
import difflib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.course import topics
from core.glossary import GLOSSARY
from core.memory import remember
from core.syllabus import Topic

CONCEPTS = Path(__file__).parent / "concepts"

TRIES = ("variance", "RoPE", "gradient", "KV cache", "√dₖ")
"""What to try when nothing was found."""


@dataclass(frozen=True)
class Passage:
    """Some words of a lesson and where they stand. `weight` is its rank among the results: 0 comes first."""

    where: str
    text: str
    weight: int
    after: str = ""
    """What is shown behind it: a wrong sentence does not stand alone."""
    part: str = ""
    """The part of the lesson in which it stands, by its anchor (`ui.lesson.PARTS`); none for the top."""
    within: str = ""
    """What has to be opened there before it can be read."""


@dataclass(frozen=True)
class Hit:
    """A lesson in which all the words of a query occur, and the best place. A word that no lesson has yet has no topic."""

    topic: Topic | None
    where: str
    excerpt: tuple[tuple[str, bool], ...]
    """Pieces of the passage; True for those that were asked for."""
    part: str = ""
    within: str = ""

    @property
    def text(self) -> str:
        return "".join(piece for piece, _ in self.excerpt)


# ------------------------------------------------------------------------------------------------ reading the source

# How a concept says something: what a reader calls it, how early it stands among the results, and in which part.
_SAYS = {
    "in_one_sentence": ("In one sentence", 3, ""),
    "says": ("In 30 seconds", 4, "answer"),
    "cites": ("In 30 seconds", 4, "answer"),
    "looks_closer": ("Look closer", 5, "looks"),
    "judges": ("The usual answer, checked", 6, "usual"),
    "corrects": ("Often said wrongly", 6, "usual"),  # and in its other half, said more exactly
    "predicts": ("Predict", 8, "predict"),
    "pushes_back": ("Push-back", 7, "push-back"),
}
_FILE = re.compile(r"\w+")


def plain(text: str) -> str:
    r"""Markdown and LaTeX as somebody reads them.

    >>> plain(r"Scaling by $\sqrt{d_k}$ is *not* `free`: $N \times N$, d_model, [T5](https://arxiv.org)")
    'Scaling by √dₖ is not free: N × N, d_model, T5'
    """
    text = re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"(?<![\w*])(\*\*?|`)(?=\S)(.+?)(?<=\S)\1(?![\w*])", r"\2", text)
    for latex, sign in (("times", "×"), ("infty", "∞"), ("approx", "≈"), ("Phi", "Φ"), ("sqrt", "√"), ("cdot", "·")):
        text = re.sub(rf"\\{latex}(?![a-zA-Z])", sign, text)
    text = re.sub(r"√\{([^{}]*)\}", r"√\1", text).replace("$", "")
    return re.sub(r"(?<=[a-zA-Z])_k(?!\w)", "ₖ", text).replace("^2", "²")


def _written(node: ast.AST) -> str:
    """The text of a string in source, also of one with numbers filled in, or of several that are added."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_written(part) or "…" for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _written(left) + _written(right)
    return ""


def _arguments(call: ast.Call) -> Iterator[str]:
    """The texts that a call gets, those of a prediction's options too; not its sources and not its mistakes."""
    for node in (*call.args, *(k.value for k in call.keywords if k.arg in ("better", "said", "answer"))):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id == "Option":
                yield from _arguments(node)
        elif text := _written(node).strip():
            yield text


class _Filled(ast.NodeTransformer):
    """A name replaced by what it stands for."""

    def __init__(self, name: str, value: ast.expr) -> None:
        self.name, self.value = name, value

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.value if node.id == self.name else node


def _calls(body: list[ast.stmt]) -> Iterator[tuple[ast.Call, str]]:
    """The calls that a module makes when it is imported: alone, for a name, as decorators, or in a loop over texts; with
    the name of the function that is decorated."""
    for statement in body:
        match statement:
            case ast.Expr(value=ast.Call() as call) | ast.Assign(value=ast.Call() as call):
                yield call, ""
            case ast.FunctionDef(name=proof, decorator_list=decorators):
                yield from ((d, proof) for d in decorators if isinstance(d, ast.Call))
            case ast.For(target=ast.Name(id=name), iter=ast.Tuple(elts=values) | ast.List(elts=values), body=inner):
                for value in values:
                    yield from (
                        (_Filled(name, value).visit(copy.deepcopy(call)), proof) for call, proof in _calls(inner)
                    )


def _decided(calls: list[tuple[ast.Call, str]]) -> set[str]:
    """The proofs by which the usual answer is judged: what else they correct is not shown in a place of its own."""
    judged = (call for call, _ in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "judges")
    return {k.value.id for call in judged for k in call.keywords if k.arg == "by" and isinstance(k.value, ast.Name)}


@remember
def _read(slug: str, changed: int) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What a lesson says; `changed` is when its file was, so that an edit is seen."""
    said = []
    calls = list(_calls(ast.parse((CONCEPTS / f"{slug}.py").read_text("utf-8")).body))
    decided = _decided(calls)
    for call, proof in calls:
        match call.func:
            case ast.Attribute(attr="corrects") if proof in decided:
                continue
            case ast.Attribute(attr=way) if way in _SAYS:
                texts = tuple(_arguments(call))
                said.append((way, texts[1:] if way == "looks_closer" else texts))  # a look's name is for its address
            case ast.Name(id="Concept"):
                words = [k.value for k in call.keywords if k.arg == "words"]
                said += [("words", tuple(map(_written, w.elts))) for w in words if isinstance(w, ast.Tuple | ast.List)]
    return tuple(said)


def _concept(slug: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    file = CONCEPTS / f"{slug}.py"
    if not _FILE.fullmatch(slug) or not file.exists():
        return ()
    return _read(slug, file.stat().st_mtime_ns)


def one_sentence(slug: str) -> str | None:
    """The answer of a lesson in one sentence, or None while it has none.

    >>> one_sentence("nonsense") is None
    True
    """
    return next((plain(texts[0]) for way, texts in _concept(slug) if way == "in_one_sentence" and texts), None)


def passages(topic: Topic) -> Iterator[Passage]:
    """Everything of a question that can be found, as it is read."""
    yield Passage(
        "Question", f"{topic.number} · {topic.title}{'' if topic.title.endswith('?') else '.'} {topic.question}", 0
    )
    for way, texts in _concept(topic.slug):
        if way == "words":
            yield from (Passage("Words", _entry(word), 1) for word in texts if word in GLOSSARY)
        elif way == "corrects":
            said, better = (plain(text) for text in texts)
            after = f" More exactly: {re.split(r'(?<=[.?!]) ', better)[0]}"
            yield Passage("Often said wrongly", said, 6, after, "usual", "said")
            yield Passage("Said more exactly", better, 6, part="usual", within="said")
        elif texts:
            where, weight, part = _SAYS[way]
            within = {"says": "answer", "cites": "answer", "pushes_back": texts[0]}.get(way, "")
            yield Passage(where, plain(" ".join(texts)), weight, part=part, within=within)
    usual = "The usual answer" if _concept(topic.slug) else "The usual answer, not yet checked"
    yield from (Passage(usual, plain(bullet), 6, part="usual") for bullet in topic.usual)
    yield Passage("Theme", str(topic.theme), 2)


def _entry(word: str) -> str:
    return f"{word}: {GLOSSARY[word]}"


# ------------------------------------------------------------------------------------------------ comparing words

_BEGIN = "\x1f"  # a word begins here, though no space stands before it
_HYPHENS = "-\u2010\u2011\u2012\u2013'’_"  # written or not: warm-up, warmup; d_k, dₖ
_DROPPED = "{}\\^$*`"
_SMALL = re.compile(
    r"an?|and|are|at|between|differences?|do(es)?|explain|for|how|i[nst]|instead|o[fnr]|question|th(at|e)|to|us(e|ed|ing)|"
    r"v(s|ersus)|we|wh(at(-?s)?|en|ere|ich|y)|with"
)


_BASES: dict[str, str] = {"√": "sqrt"}  # of the characters that were met


def _base(character: str) -> str:
    if character not in _BASES:
        letters = unicodedata.normalize("NFKD", character).casefold()
        base = "".join(c for c in letters if c.isalnum()).replace("z", "s")  # normalize, normalise
        if len(_BASES) > 2000:  # somebody tries all of Unicode
            return base
        _BASES[character] = base
    return _BASES[character]


def _folded(text: str) -> tuple[str, list[int]]:
    r"""The text as it is compared, and for each of its characters the place in `text` that it came from.

    >>> _folded("√dₖ Pre-Norm")[0].replace(_BEGIN, "|")
    '|sqrt|dk |pre|norm'
    """
    out: list[str] = []
    places: list[int] = []

    def put(characters: str, place: int) -> None:
        out.extend(characters)
        places.extend([place] * len(characters))

    before = " "
    for place, character in enumerate(text):
        base = _base(character)
        if base:
            apart = not before.isalnum() or before == "√"
            turns = before.islower() and character.isupper()
            counts = before.isalnum() and before.isdecimal() and character.isalpha()
            if apart or turns or counts:
                put(_BEGIN, place)
            put(base, place)
            before = character
        elif character in _HYPHENS:
            before = "-"
        elif character not in _DROPPED:
            put(" ", place)
            before = " "
    return "".join(out), places


def _words(query: str) -> list[str]:
    """The words to look for: not the small ones, unless there are no others.

    A hyphen may be written as one, as a space, or not at all.

    >>> _words("What is the KV-cache of N²?")
    ['kv-cache', 'n2']
    """
    found: list[str] = []
    for i, piece in enumerate(re.split(f"(?<=\\w)[{_HYPHENS}](?=\\w)", query[:200])):
        words = _folded(piece)[0].replace(_BEGIN, "").split()
        if i and found and words:
            found[-1] += f"-{words.pop(0)}"
        found += words
    return [word for word in found if not _SMALL.fullmatch(word)] or found


# What is asked for by another name than the lessons': what has the name itself comes first.
_MEANS = {
    "gqa": ("grouped", "head"),
    "mqa": ("grouped", "head"),
    "moe": ("expert",),
    "pre-ln": ("pre-norm",),
    "post-ln": ("post-norm",),
    "autoregressive": ("causal",),
    "multiple": ("several",),
    "tying": ("tied",),
}


def _pattern(word: str) -> re.Pattern[str]:
    """Where a word begins like this one. One letter, or a number, is meant whole; the s of a plural may be missing."""
    whole = len(word) == 1 or word.isdecimal()
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    letters = f"{_BEGIN}?".join(map(re.escape, word)).replace(rf"{_BEGIN}?\-{_BEGIN}?", f" ?{_BEGIN}?")
    letters = re.sub(rf"(?<=\d){_BEGIN}\?(?=[a-z])", f" ?{_BEGIN}?", letters)  # 12d², 12 d²
    return re.compile(f"{_BEGIN}{letters}" + (r"(?![^\W_])" if whole else ""))


@dataclass(frozen=True)
class _Entry:
    topic: Topic | None
    passage: Passage
    folded: str


@remember
def _indexed(slug: str, changed: int, topic: Topic) -> tuple[_Entry, ...]:
    return tuple(_Entry(topic, p, _folded(p.text)[0]) for p in passages(topic))


def _index() -> Iterator[tuple[_Entry, ...]]:
    """The passages of each question in the order of the course, and then the words that no lesson explains."""
    named: set[str] = set()
    for topic in topics():
        file = CONCEPTS / f"{topic.slug}.py"
        yield _indexed(topic.slug, file.stat().st_mtime_ns if file.exists() else 0, topic)
        named.update(word for way, words in _concept(topic.slug) if way == "words" for word in words)
    for word in GLOSSARY:
        if word not in named:
            yield (_Entry(None, Passage("Words", _entry(word), 9), _folded(_entry(word))[0]),)


def find(query: str) -> list[Hit]:
    """The lessons in which every word of the query occurs, each with its best passage; titles and questions first.

    >>> [hit.topic.number for hit in find("turing complete")]
    [20]
    >>> find("zeppelin"), find("")
    ([], [])
    """
    words = _words(query)
    found = _ranked(words)
    meant = [other for word in words for other in _MEANS.get(word, (word,))]
    seen = {hit.topic for hit in found}
    return found + [hit for hit in _ranked(meant) if hit.topic not in seen] if meant != words else found


def _ranked(words: list[str]) -> list[Hit]:
    patterns = [_pattern(word) for word in words]
    ranked = []
    for place, entries in enumerate(_index() if patterns else ()):
        found = [(entry, [bool(p.search(entry.folded)) for p in patterns]) for entry in entries]
        if not all(any(has[i] for _, has in found) for i in range(len(patterns))):
            continue
        best, has = min(found, key=lambda pair: (-sum(pair[1]), _weight(pair[0], patterns)))
        said, together = best.passage, all(has)
        shown = _excerpt(said.text, patterns)
        hit = Hit(
            best.topic, said.where, (*shown, (said.after, False)) if said.after else shown, said.part, said.within
        )
        ranked.append(((not together, _weight(best, patterns), place), hit))
    return [hit for _, hit in sorted(ranked, key=lambda pair: pair[0])]


def _weight(entry: _Entry, patterns: list[re.Pattern[str]]) -> int:
    """A glossary's word counts for more than the words that explain it."""
    if entry.passage.where != "Words":
        return entry.passage.weight
    word = _folded(entry.passage.text.partition(":")[0])[0]
    return entry.passage.weight if any(p.search(word) for p in patterns) else 9


def _excerpt(text: str, patterns: list[re.Pattern[str]], most: int = 150) -> tuple[tuple[str, bool], ...]:
    """The words that were asked for, with what stands around them.

    >>> _excerpt("a bc d", [_pattern("bc")])
    (('a ', False), ('bc', True), (' d', False))
    """
    folded, places = _folded(text)
    marked = [False] * len(text)
    for pattern in patterns:
        for found in pattern.finditer(folded):
            first, last = places[found.start()], places[found.end() - 1]
            marked[first : last + 1] = [True] * (last + 1 - first)
    start, end = 0, len(text)
    if len(text) > most:
        first = marked.index(True) if True in marked else 0
        start = max(0, min(first - most // 3, len(text) - most))
        end = min(len(text), start + most)
        if start:  # from a word's beginning to a word's end
            start = text.find(" ", start, first) + 1 or start
        if end < len(text):
            end = text.rfind(" ", start, end) if text.rfind(" ", start, end) > first else end
    pieces: list[tuple[str, bool]] = [("…", False)] if start else []
    for character, mark in zip(text[start:end], marked[start:end], strict=True):
        if pieces and pieces[-1][1] == mark:
            pieces[-1] = (pieces[-1][0] + character, mark)
        else:
            pieces.append((character, mark))
    if end < len(text):
        pieces.append((" …", False))
    return tuple(pieces)


def tries(query: str) -> list[str]:
    """What to look for instead: words that are spelled alike, else words that always find something.

    >>> tries("varience")[0]
    'variance'
    """
    known: dict[str, str] = {}
    for entries in _index():
        for entry in entries:
            for word in re.findall(r"[^\W\d_]{5,}", entry.passage.text):
                known.setdefault(word.casefold(), word.lower() if word.istitle() else word)
    asked = [w for w in map(str.casefold, re.findall(r"[^\W\d_]{5,}", query[:200])) if not _SMALL.fullmatch(w)]
    alike = [
        m for word in asked[:4] for m in difflib.get_close_matches(word, known, 3, 0.8) if m == word or word not in m
    ]
    return [
        known[word] for word in dict.fromkeys(alike) if word.removesuffix("s") not in alike or word[-1] != "s"
    ] or list(TRIES)
