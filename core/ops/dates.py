"""Dates as people write them, and as ISO 8601 does: the two languages between which question 12 translates."""

import re
from collections.abc import Callable
from datetime import date, timedelta

FIRST, LAST = date(1930, 1, 1), date(2029, 12, 31)  # a century, so that two digits of a year are enough
MOST = 32  # characters: as long as the longest of the styles below
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_UP_TO_19 = (
    *("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"),
    *("eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth"),
    "nineteenth",
)


def ordinal(day: int) -> str:
    """A day as an ordinal number.

    >>> [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 22, 31)]
    ['1st', '2nd', '3rd', '4th', '11th', '12th', '13th', '22nd', '31st']
    """
    ending = "th" if 10 < day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


def in_words(day: int) -> str:
    """The same, spelt out.

    >>> [in_words(n) for n in (3, 20, 21, 30)]
    ['third', 'twentieth', 'twenty-first', 'thirtieth']
    """
    if day < 20:
        return _UP_TO_19[day]
    tens = {2: "twent", 3: "thirt"}[day // 10]
    return f"{tens}y-{_UP_TO_19[day % 10]}" if day % 10 else f"{tens}ieth"


def _month(d: date) -> str:
    return MONTHS[d.month - 1]


def _weekday(d: date) -> str:
    return WEEKDAYS[d.weekday()]


STYLES: tuple[Callable[[date], str], ...] = (
    lambda d: f"{d.day} {_month(d)} {d.year}",
    lambda d: f"{ordinal(d.day)} of {_month(d)} {d.year}",
    lambda d: f"the {ordinal(d.day)} of {_month(d)} {d.year}",
    lambda d: f"{in_words(d.day)} of {_month(d)} {d.year}",
    lambda d: f"{_month(d)} {d.day}, {d.year}",
    lambda d: f"{_month(d)} {d.day} {d.year}",
    lambda d: f"{_month(d)} {ordinal(d.day)}, {d.year}",
    lambda d: f"{_month(d)} the {ordinal(d.day)}, {d.year}",
    lambda d: f"{_weekday(d)} {d.day} {_month(d)} {d.year}",
    lambda d: f"{_weekday(d)}, {_month(d)} {d.day}, {d.year}",
    lambda d: f"{_weekday(d)[:3]}, {d.day} {_month(d)[:3]} {d.year}",
    lambda d: f"{d.day} {_month(d)[:3]} {d.year}",
    lambda d: f"{d.day} {_month(d)} '{d:%y}",
    lambda d: f"{_weekday(d)}, {_month(d)} {ordinal(d.day)}, '{d:%y}",
    lambda d: f"{d.year} {_month(d)} {d.day}",
    lambda d: f"{d:%d}-{_month(d)[:3]}-{d:%y}",
)
"""From a date to a text of at most MOST characters, each in its own way."""


def days() -> list[date]:
    """Every day of the century, in order."""
    return [FIRST + timedelta(n) for n in range((LAST - FIRST).days + 1)]


def read(text: str) -> date | None:
    """The date that a text means, in any of the styles and in many like them; None if it means none.

    Two digits of a year are one of 1930 to 2029. Written by hand, so that what a model writes can be judged.

    >>> read("Sunday 3 May 1987") == read("the third of may '87") == date(1987, 5, 3)
    True
    >>> read("31 February 1987") is read("3 May") is read("hello") is None
    True
    """
    text = re.sub(r"\b(twenty|thirty)\s+(?=[a-z]+(?:st|nd|rd|th)\b)", r"\1-", text.lower())
    names = {word: 1 + i for i, month in enumerate(MONTHS) for k in range(3, 10) if (word := month.lower()[:k])}
    month = [names[word] for word in re.findall(r"[a-z]+", text) if word in names]
    spelled = next((day for day in range(31, 0, -1) if re.search(rf"(?<![a-z-]){in_words(day)}(?![a-z-])", text)), None)
    whole = re.findall(r"(?<!\d)\d{4}(?!\d)", text)
    short = re.findall(r"(?<!\d)\d{1,2}(?!\d)", text)
    days_, years = ([spelled], whole + short) if spelled else (short[:1], whole + short[1:])
    if [len(month), len(days_), len(years)] != [1, 1, 1] or re.search(r"\d{3}(?<!\d{4})(?!\d)|\d{5}", text):
        return None
    year = int(years[0])
    if len(years[0]) < 3:
        year += 1900 if year >= FIRST.year - 1900 else 2000
    try:
        return date(year, month[0], int(days_[0]))
    except ValueError:
        return None
