"""Small radial grids for tests, as the documents that models are made from."""

import random

import numpy as np

from oracles.grid.core.network import MODEL_FORMAT, Document, GridModel, Integers, grid_model_from_document


def radial_document(
    parents: list[int],
    lengths_km: list[float],
    rating_ka: float = 0.142,
    band: tuple[float, float] = (0.9, 1.1),
) -> Document:
    """A 20/0.4 kV transformer of 250 kVA and lines below it: bus 2 + i hangs on bus `parents[i]` (0 is the slack)."""
    count = 2 + len(parents)
    return {
        "format": MODEL_FORMAT,
        "name": "small",
        "frequency_hz": 50.0,
        "slacks": [{"name": "grid", "node": 0, "vm_pu": 1.0, "va_degree": 0.0}],
        "nodes": [
            {
                "name": f"bus {index}",
                "vn_kv": 0.4 if index else 20.0,
                "buses": [index],
                "min_vm_pu": band[0],
                "max_vm_pu": band[1],
            }
            for index in range(count)
        ],
        "transformers": [
            {
                "name": "trafo",
                "hv": 0,
                "lv": 1,
                "sn_mva": 0.25,
                "vn_hv_kv": 20.0,
                "vn_lv_kv": 0.4,
                "vk_percent": 6.0,
                "vkr_percent": 1.4,
                "pfe_kw": 0.8,
                "i0_percent": 0.32,
                "tap_side": "hv",
                "tap_steps": 0.0,
                "tap_step_percent": 0.0,
                "tap_step_degree": 0.0,
                "shift_degree": 150.0,
                "parallel": 1,
                "df": 1.0,
                "rated": "both",
                "max_loading_percent": 100.0,
            }
        ],
        "lines": [
            {
                "name": f"line {index:02d}",
                "from": parent,
                "to": 2 + index,
                "r_ohm": 0.642 * length,
                "x_ohm": 0.083 * length,
                "c_nf": 210.0 * length,
                "g_us": 0.0,
                "max_i_ka": rating_ka,
                "max_loading_percent": 100.0,
            }
            for index, (parent, length) in enumerate(zip(parents, lengths_km, strict=True))
        ],
        "impedances": [],
        "open_lines": [],
        "open_transformers": [],
        "generators": [],
        "given_powers": [],
        "shunts": [],
    }


def random_grid(seed: int) -> tuple[GridModel, Integers, Integers]:
    """A random radial grid with random baselines (slots, nodes), some beyond its limits."""
    chance = random.Random(seed)
    count = chance.randint(2, 8)
    parents = [chance.randint(1, 1 + index) for index in range(count)]
    model = grid_model_from_document(
        radial_document(
            parents, [chance.uniform(0.02, 0.25) for _ in parents], chance.choice((0.06, 0.142, 0.3))
        )
    )
    slots = 2
    p_w = np.zeros((slots, model.nodes), dtype=np.int64)
    for slot in range(slots):
        for node in range(2, model.nodes):
            p_w[slot, node] = chance.randint(-25_000, 25_000)
    return model, p_w, p_w // 10


def feeder(
    load_w: int, slots: int = 1, band: tuple[float, float] = (0.9, 1.1)
) -> tuple[GridModel, Integers, Integers]:
    """A feeder of three buses in a row with the same net load at each: (slots, nodes)."""
    model = grid_model_from_document(radial_document([1, 2, 3], [0.05, 0.05, 0.05], band=band))
    p_w = np.zeros((slots, model.nodes), dtype=np.int64)
    p_w[:, 2:] = load_w
    return model, p_w, np.zeros_like(p_w)


def holding_document() -> Document:
    """The feeder of three, at whose end a generator holds the voltage."""
    document = radial_document([1, 2, 3], [0.05, 0.05, 0.05])
    document["generators"] = [{"name": "gen", "node": 4, "p_mw": 0.02, "vm_pu": 1.01}]
    return document
