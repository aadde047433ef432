"""A challenge, or a demand, as it is sent."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Accusation:
    """Contract, function and arguments."""

    contract: str
    function: str
    arguments: tuple[object, ...]
