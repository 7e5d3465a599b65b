"""What NEST's adaptive solver remembers from one step to the next, and when it has forgotten it.

Neurons with conductances are integrated by GSL's ``rkf45``. A step of the network begins with the length that
the last one suggested; if the error is too large it is divided, and what comes out has other last bits. NEST
does not show this length. Where the error of whole steps is small the suggestion grows until it is longer
than a step of the network, and then it does not matter any more what it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.nest.kernel import kernel

__all__ = ["forgotten"]

_TOLERANCE = 1e-3
"""Absolute error that NEST allows in a step of these models."""
_SMALL = 0.25
"""Part of it, below which the next step is suggested to be longer; GSL does so from a half on."""
_IN_A_ROW = 6
"""So many small errors, one after the other, and the suggestion is longer than a step, whatever it was."""
_CONDUCTANCES = {
    "g_ex": ("tau_syn_ex", "E_ex"),
    "g_in": ("tau_syn_in", "E_in"),
    "g_rr": ("tau_rr", "E_rr"),
    "g_sfa": ("tau_sfa", "E_sfa"),
}
# Fehlberg (1969), Low-order classical Runge-Kutta formulas with stepsize control, table III: stages, and the
# difference of the two orders.
_STAGES = (
    (1 / 4,),
    (3 / 32, 9 / 32),
    (1932 / 2197, -7200 / 2197, 7296 / 2197),
    (439 / 216, -8.0, 3680 / 513, -845 / 4104),
    (-8 / 27, 2.0, -3544 / 2565, 1859 / 4104, -11 / 40),
)
_ERROR = (1 / 360, 0.0, -128 / 4275, -2197 / 75240, 1 / 50, 2 / 55)


def forgotten(
    names: Sequence[str], trace: NDArray[np.float64], parameters: Mapping[str, NDArray[Any]]
) -> NDArray[np.bool_]:
    """Return of which neurons the solver has forgotten its past, bool, shape ``(neurons,)``.

    Parameters
    ----------
    names : sequence of str
        ``V_m``, conductances, and for alpha functions what they rise by, in the order of the trace.
    trace : array, shape (steps, values, neurons)
        What neurons had before each step, in mV, nS and nS/ms.
    parameters : mapping of str to array, shape (neurons,)
    """
    calm = errors(names, trace, parameters) < _SMALL * _TOLERANCE
    if len(calm) < _IN_A_ROW:
        return np.zeros(trace.shape[2], np.bool_)
    rows = np.lib.stride_tricks.sliding_window_view(calm, _IN_A_ROW, axis=0)
    found: NDArray[np.bool_] = np.any(np.all(rows, axis=-1), axis=0)
    return found


def errors(
    names: Sequence[str], trace: NDArray[np.float64], parameters: Mapping[str, NDArray[Any]]
) -> NDArray[np.float64]:
    """Return the solver's estimate of its largest error, if it takes whole steps, ``(steps, neurons)``."""
    own = {n: np.asarray(v, np.float64) for n, v in parameters.items() if np.asarray(v).ndim == 1}
    rows = {name: row for row, name in enumerate(names)}

    def slope(state: NDArray[np.float64]) -> NDArray[np.float64]:
        found = np.empty_like(state)
        potential = state[:, rows["V_m"]]
        current = own["I_e"] - own["g_L"] * (potential - own["E_L"])
        for name, (tau, reversal) in _CONDUCTANCES.items():
            if name not in rows:
                continue
            conductance = state[:, rows[name]]
            current = current - conductance * (potential - own[reversal])
            found[:, rows[name]] = -conductance / own[tau]
            if (rise := rows.get(f"d{name}")) is not None:
                found[:, rows[name]] += state[:, rise]
                found[:, rise] = -state[:, rise] / own[tau]
        found[:, rows["V_m"]] = current / own["C_m"]
        return found

    step = float(kernel().resolution)
    slopes = [slope(trace)]
    for stage in _STAGES:
        moved = sum(factor * one for factor, one in zip(stage, slopes, strict=True))
        slopes.append(slope(trace + step * moved))
    error = step * sum(factor * one for factor, one in zip(_ERROR, slopes, strict=True))
    largest: NDArray[np.float64] = np.max(np.abs(error), axis=1)
    return largest
