"""The power flow against power-grid-model, which shares neither code nor formulas with pandapower or us."""

import numpy as np
import pytest
from power_grid_model import PowerGridModel
from power_grid_model_io.converters import PandaPowerConverter

from oracles.grid.core.power_flow import run_power_flow
from tests.oracles.grid.basic_grids import BASIC_GRIDS, basic_net
from tests.oracles.grid.test_against_pandapower import absorbed, model_of

RADIAL_GRIDS = [grid for grid in BASIC_GRIDS if "-MV-" in grid or "-LV-" in grid]
STIFF_VA = 1e40
"""Short-circuit power of a source that holds its voltage, as a slack does."""


@pytest.mark.parametrize(("no_load", "tolerance_pu"), [(False, 1e-7), (True, 2e-6)])
@pytest.mark.parametrize("grid", RADIAL_GRIDS)
def test_agrees_on_medium_and_low_voltage(grid: str, no_load: bool, tolerance_pu: float) -> None:
    """It has a transformer's no-load current at the terminals, where we and pandapower have it half-way: so once without."""
    net = basic_net(grid)
    if not no_load:
        # Not 0: the converter then divides into memory that it never wrote.
        net.trafo["pfe_kw"], net.trafo["i0_percent"] = 1e-6, 1e-6
    model = model_of(net)
    flow = run_power_flow(model, *absorbed(net, model))
    converter = PandaPowerConverter()
    theirs, _ = converter.load_input_data(net)
    theirs["source"]["sk"] = STIFF_VA
    solved = PowerGridModel(theirs).calculate_power_flow(symmetric=True, error_tolerance=1e-9)
    row = {node: position for position, node in enumerate(theirs["node"]["id"].tolist())}
    buses = list(model.node_of_bus)
    vm_pu = solved["node"]["u_pu"][[row[converter.get_id("bus", bus)] for bus in buses]]
    ours = flow.vm_pu[0, [model.node_of_bus[bus] for bus in buses]]
    assert np.abs(ours - vm_pu).max() <= tolerance_pu
