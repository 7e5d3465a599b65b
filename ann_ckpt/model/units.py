"""Values with their units, as people write them: a voltage of -0.07 V is shown as ``-70. mV``.

Files keep what simulators have, which is SI without prefixes for Brian2. The prefix is the one that
Brian2 would take: that by which values come closest to 10. Units that have a prefix stay as they are.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["labelled_unit", "one_line", "quantity", "reworded", "scaled"]

_PREFIXES = ("y", "z", "a", "f", "p", "n", "u", "m", "", "k", "M", "G", "T", "P", "E", "Z", "Y")
_EXPONENTS = dict(zip(_PREFIXES, range(-24, 25, 3), strict=True))
_SYMBOLS = re.findall(r"\w+", "V A S F ohm s Hz m C W J N Pa H T Wb mol lm lx Bq Gy Sv kat rad sr cd")
_BASES = {symbol: (symbol, 0) for symbol in _SYMBOLS} | {"kg": ("g", 3), "mM": ("M", -3)}
"""Units as files have them: the symbol that takes prefixes, and the power of ten that it has already."""
_POWERED = re.compile(r"(\D+?)(?:\^([23]))?")
_NUMBER = re.compile(r"-?(?:\d+(?:\.\d*)?(?:e[-+]?\d+)?|inf|nan)")


def one_line(value: Any) -> str:
    """Return a value in a few characters; of an array, how many it has.

    Examples
    --------
    >>> one_line(0.1 + 0.2), one_line(3), one_line([[1, 2, 3]])
    ('0.3', '3', '1 x 3 values')
    """
    found = np.asarray(value)
    if found.shape:
        return f"{' x '.join(map(str, found.shape))} values"
    return f"{found.item():.6g}" if found.dtype.kind == "f" else str(found)


def scaled(values: Any, unit: str) -> tuple[NDArray[Any], str]:
    """Return values in the unit that shows them best, and that unit.

    Parameters
    ----------
    values : array-like
        In ``unit``. Values that are not floating-point numbers stay as they are.
    unit : str
        As files have it: ``V``, ``m^2``, ``mV``. Of powers, the whole unit gets a prefix: ``mm^2``.

    Examples
    --------
    >>> scaled([-0.07, -0.0695], "V")
    (array([-70. , -69.5]), 'mV')
    >>> scaled([12.0], "S/(m^2)")
    (array([12.]), 'S/(m^2)')
    """
    array = np.asarray(values)
    named = _POWERED.fullmatch(unit)
    if array.dtype.kind != "f" or named is None or named[1] not in _BASES:
        return array, "" if unit == "1" else unit
    (symbol, already), power = _BASES[named[1]], int(named[2] or 1)
    sizes = np.abs(array[np.isfinite(array) & (array != 0)].astype(np.float64))
    if not sizes.size:
        return array, unit
    exponents = power * (np.array([*_EXPONENTS.values()]) - already)
    ends = np.log10(sizes)[:, None] - exponents
    best = int(np.argmin(np.sum((ends - 1) ** 2, axis=0)))
    suffix = f"^{named[2]}" if named[2] else ""
    if not exponents[best]:
        return array, unit
    # A product with 1000 is rounded once; a division by 0.001 is rounded twice.
    exponent = float(exponents[best])
    shown = array * 10.0**-exponent if exponent < 0 else array / 10.0**exponent
    return shown, f"{_PREFIXES[best]}{symbol}{suffix}"


def quantity(value: Any, unit: str, digits: int = 6) -> str:
    """Return one value with its unit.

    Examples
    --------
    >>> quantity(-0.07, "V"), quantity(0.0105, "s"), quantity(3, "steps"), quantity(0.5, "1")
    ('-70. mV', '10.5 ms', '3 steps', '0.5')
    """
    found, own = scaled(value, unit)
    number = found[()]
    if isinstance(number, np.bool_):
        text = "true" if number else "false"
    elif not isinstance(number, np.floating):
        text = str(number)
    else:
        text = f"{number:.{digits}g}"
        text += "." if own and re.fullmatch(r"-?\d+", text) else ""
    return f"{text} {own}".strip()


def reworded(text: str) -> str:
    """Return a text that is a number with a unit as :func:`quantity` shows it, any other unchanged.

    Digits are never lost: where six do not say the same, all are shown.

    Examples
    --------
    >>> reworded("-0.07 V"), reworded("0.010000000001 s"), reworded("v > 20*mV")
    ('-70. mV', '10.000000001 ms', 'v > 20*mV')
    """
    number, _, unit = text.partition(" ")
    if not _NUMBER.fullmatch(number) or unit not in {*_BASES, *(f"{b}^{p}" for b in _BASES for p in "23")}:
        return text
    value, _ = scaled(float(number), unit)
    shown = (quantity(float(number), unit, digits) for digits in (6, 10, 15))
    exact = (form for form in shown if float(form.partition(" ")[0]) == value)
    return next(exact, quantity(float(number), unit, 17))


def labelled_unit(unit: str) -> str:
    """Return a unit in brackets, as it stands behind a name; nothing for numbers without one.

    Examples
    --------
    >>> labelled_unit("mV"), labelled_unit("1"), labelled_unit("")
    ('[mV]', '', '')
    """
    return f"[{unit}]" if unit not in ("", "1") else ""
