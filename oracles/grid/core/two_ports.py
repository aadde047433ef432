"""Lines, transformers and impedances as two-ports: from-from, from-to, to-from and to-to admittance in per unit.

IEC 60909 parameters, as pandapower's documentation of `line`, `trafo`, `trafo3w` and `impedance` gives them.
"""

import cmath
import math
from collections.abc import Mapping
from typing import Any

TwoPort = tuple[complex, complex, complex, complex]


def line_two_port(line: Mapping[str, Any], vn_kv: float, frequency_hz: float, base_mva: float) -> TwoPort:
    """Pi circuit. `vn_kv`: nominal voltage at the from end."""
    base_ohm = vn_kv**2 / base_mva
    series = base_ohm / complex(line["r_ohm"], line["x_ohm"])
    charging_s = complex(line["g_us"] * 1e-6, 2 * math.pi * frequency_hz * line["c_nf"] * 1e-9)
    own = series + charging_s * base_ohm / 2
    return own, -series, -series, own


def transformer_two_port(
    transformer: Mapping[str, Any], hv_vn_kv: float, lv_vn_kv: float, base_mva: float
) -> TwoPort:
    """T circuit turned into pi, in per unit of the low-voltage side; ratio and phase shift at the high-voltage side."""
    sn_mva, parallel = transformer["sn_mva"], transformer["parallel"]
    on_hv = transformer["tap_side"] == "hv"
    added = transformer["tap_steps"] * transformer["tap_step_percent"] / 100
    tap = 1 + cmath.rect(added, math.radians(transformer["tap_step_degree"]))
    vn_hv_kv = transformer["vn_hv_kv"] * (abs(tap) if on_hv else 1)
    vn_lv_kv = transformer["vn_lv_kv"] * (1 if on_hv else abs(tap))
    shift = math.radians(transformer["shift_degree"]) + (cmath.phase(tap) if on_hv else -cmath.phase(tap))
    lv_square = (vn_lv_kv / lv_vn_kv) ** 2 * base_mva
    # A leg of a three-winding transformer may have a negative reactance: the sign stands with vk_percent.
    z = transformer["vk_percent"] / 100 / sn_mva * lv_square
    r = transformer["vkr_percent"] / 100 / sn_mva * lv_square
    short_circuit = complex(r, math.copysign(math.sqrt(z**2 - r**2), z)) / parallel
    iron_mw = transformer["pfe_kw"] * 1e-3
    magnetising_mvar = math.sqrt(max((transformer["i0_percent"] / 100 * sn_mva) ** 2 - iron_mw**2, 0.0))
    shunt = complex(iron_mw, -magnetising_mvar) * parallel / lv_square
    half = short_circuit / 2
    # Star of two halves of the short-circuit impedance and the magnetising branch, turned into a delta.
    through = short_circuit + half * half * shunt
    side = half * shunt / through
    series = 1 / through
    ratio = cmath.rect((vn_hv_kv / vn_lv_kv) * (lv_vn_kv / hv_vn_kv), shift)
    own = series + side
    return own / abs(ratio) ** 2, -series / ratio.conjugate(), -series / ratio, own


def impedance_two_port(impedance: Mapping[str, Any]) -> TwoPort:
    """Series impedance and charging that may differ by direction, given in per unit."""
    forward = 1 / complex(impedance["r_from_pu"], impedance["x_from_pu"])
    backward = 1 / complex(impedance["r_to_pu"], impedance["x_to_pu"])
    own_from = forward + complex(impedance["g_from_pu"], impedance["b_from_pu"])
    own_to = backward + complex(impedance["g_to_pu"], impedance["b_to_pu"])
    return own_from, -forward, -backward, own_to


def seen_from(end: int, port: TwoPort) -> complex:
    """Admittance at one end (0: from, 1: to) while the other is open."""
    from_from, from_to, to_from, to_to = port
    return from_from - from_to * to_from / to_to if end == 0 else to_to - from_to * to_from / from_from
