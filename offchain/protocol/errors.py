"""The one root exception of flexledger, and the refusal that every boundary raises."""


class FlexledgerError(Exception):
    """Root of every exception that flexledger raises on purpose."""


class InvalidInput(FlexledgerError):
    """Input refused at a boundary.

    The message always names the field, the value and the rule that the value breaks.
    """

    def __init__(self, field: str, value: object, rule: str) -> None:
        shown = repr(value)
        if len(shown) > 120:
            shown = shown[:117] + "..."
        super().__init__(f"{field} = {shown}: {rule}")
        self.field = field
        self.value = value
        self.rule = rule
