"""How numbers are said: rounded as a person rounds, and never so that a true number becomes a false one."""

import math

NO_BREAK = "\u00a0"  # a space at which no line ends
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = 3) -> str:
    """`digits` significant digits, as a person writes them; whole numbers keep all theirs.

    Zeros at the end stay where they say that something was rounded. Nothing but 0 is said as 0.

    >>> number(0.78912), number(0.78912, 2), number(1048576), number(3), number(0.5), number(-0.0)
    ('0.789', '0.79', '1,048,576', '3', '0.5', '0')
    >>> number(1.0004), number(62831.85), number(-2.5), number(2.22e-16, 2), number(0.00032)
    ('1.00', '62,800', '−2.5', '2.2·10⁻¹⁶', '3.2·10⁻⁴')
    """
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    sign, size = ("−" if value < 0 else ""), abs(float(value))
    if size.is_integer() and size < 1e15:
        return f"{sign}{size:,.0f}"
    rounded = float(f"{size:.{digits - 1}e}")
    exact = rounded == size and len(f"{size:g}".replace(".", "").lstrip("0")) <= digits
    if rounded < 1e-3 or rounded >= 1e15:
        mantissa, _, exponent = f"{size:.{digits - 1}e}".partition("e")
        mantissa = f"{float(mantissa):g}" if exact else mantissa
        return f"{sign}{mantissa}·10{str(int(exponent)).translate(_RAISED)}"
    if exact:
        return f"{sign}{size:,g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(rounded)))
    return f"{sign}{rounded:,.{decimals}f}"


def percent(share: float, digits: int = 2) -> str:
    """A share as a percentage: 0 % only for nothing, 100 % only for all.

    >>> [percent(x).replace(NO_BREAK, " ") for x in (0.0, 0.004, 0.0346, 0.784, 0.996, 0.99999, 1.0, 0.000001)]
    ['0 %', '0.4 %', '3.5 %', '78 %', '99.6 %', 'over 99.99 %', '100 %', 'under 0.001 %']
    """
    value = 100 * float(share)
    if math.isnan(value):
        return "not a number"
    if 0 < abs(value) < 0.001:
        return f"under 0.001{NO_BREAK}%" if value > 0 else "−" + percent(-share, digits)
    missing = 100 - value
    if 0 < missing < 0.01:
        return f"over 99.99{NO_BREAK}%"
    if 0 < missing < 1:  # as many decimals as show that something is missing
        decimals = max(0, -math.floor(math.log10(missing)))
        return f"{value:.{decimals}f}{NO_BREAK}%"
    return f"{number(float(f'{value:.{digits}g}'), digits)}{NO_BREAK}%"


def count(n: int, noun: str, plural: str = "") -> str:
    """So many things.

    >>> count(1, "word"), count(21, "pair"), count(0, "word"), count(2, "entry", "entries")
    ('1 word', '21 pairs', 'no words', '2 entries')
    """
    return f"{f'{n:,}' if n else 'no'} {noun if n == 1 else plural or noun + 's'}"


def listed(items: list[str]) -> str:
    """Items as a sentence lists them.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    return " and ".join(filter(None, (", ".join(items[:-1]), items[-1]))) if items else "none"
