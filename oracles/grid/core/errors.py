"""What goes wrong inside the grid oracle's core."""

from offchain.protocol.errors import FlexledgerError


class UnsupportedGrid(FlexledgerError):
    """The grid has something that the power flow doesn't model; the message names element, value and rule."""

    def __init__(self, element: str, value: object, rule: str) -> None:
        super().__init__(f"{element} = {value!r}: {rule}")


class PowerFlowDiverged(FlexledgerError):
    """The power flow found no solution in some slots: the grid can't carry what is asked of it."""

    def __init__(self, slots: tuple[int, ...], iterations: int) -> None:
        super().__init__(f"slots = {slots!r}: no power flow solution within {iterations} iterations")
        self.slots = slots
