"""How many decimals the numbers of a market have."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Precision:
    """Decimals of a market's prices and volumes."""

    price: int
    size: int

    def __str__(self) -> str:
        return f"{self.price}.{self.size}"

    def widened(self, other: "Precision") -> "Precision":
        """Return the least that holds what either holds."""
        return Precision(max(self.price, other.price), max(self.size, other.size))


FINEST = Precision(16, 16)
"""What a file has where nobody has asked how many decimals its market needs: no program has more.
"""
