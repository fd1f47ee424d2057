"""How many tokens something makes that has a size: learned from pairs, the last few hundred of which decide. Pure.

Two lines are fitted, one through zero (text) and one that is not (text in an envelope); which of them has been nearer
to what came next is the better one.
"""

import msgspec

LEAST_SAMPLES = 8
BYTES_A_TOKEN = 16  # of text, at most; and no text has more tokens than bytes
_KEPT = 1 - 1 / 200  # of what is known, at each pair
_LEAST_SPREAD = 1e-6  # of sizes that are all alike nothing is learned but their ratio


class Fit(msgspec.Struct):
    """Sums of pairs, and mean errors, relative to what came; all of them fade. `x` are sizes and `y` tokens."""

    samples: int = 0
    weight: float = 0.0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0
    flat_error: float = 0.0
    sloped_error: float = 0.0

    @property
    def is_known(self) -> bool:
        """Whether there were enough pairs to go by."""
        return self.samples >= LEAST_SAMPLES

    def add(self, size: int, tokens: int) -> None:
        """One pair; both are above 0."""
        if self.is_known:
            self.flat_error += (1 - _KEPT) * (_error(self.flat(size), tokens) - self.flat_error)
            self.sloped_error += (1 - _KEPT) * (_error(self.sloped(size), tokens) - self.sloped_error)
        x, y = self._point(size, tokens)
        self.samples += 1
        self.weight = self.weight * _KEPT + 1
        self.x = self.x * _KEPT + x
        self.y = self.y * _KEPT + y
        self.xx = self.xx * _KEPT + x * x
        self.xy = self.xy * _KEPT + x * y

    def flat(self, size: int) -> float:
        """By the ratio of all tokens to all sizes."""
        return size * self.y / self.x

    def sloped(self, size: int) -> float:
        """By the line that is nearest to the pairs."""
        spread = self.weight * self.xx - self.x * self.x
        if spread <= _LEAST_SPREAD * self.x * self.x:
            return self.flat(size)
        slope = (self.weight * self.xy - self.x * self.y) / spread
        return max(0.0, self._tokens(size, (self.y - slope * self.x) / self.weight, slope))

    def best(self, size: int) -> float:
        """By the one of both that was nearer."""
        return self.sloped(size) if self.sloped_error < self.flat_error else self.flat(size)

    def _point(self, size: int, tokens: int) -> tuple[float, float]:
        """What a pair is on the line."""
        return size, tokens

    def _tokens(self, size: int, level: float, slope: float) -> float:
        """What the line says of a size."""
        return level + slope * size


class Shares(Fit):
    """Tokens to each byte of prompts, whose senders choose how long they are: so that nobody's is worth more than
    another one's, each pair weighs the same whatever its size, and what is no text's share is left out.

    `x` are 1 / size and `y` shares: the line through them is a share, and an envelope's tokens as its slope.
    """

    def add(self, size: int, tokens: int) -> None:
        """One pair; both are above 0."""
        if size <= tokens * BYTES_A_TOKEN <= size * BYTES_A_TOKEN:
            super().add(size, tokens)

    def flat(self, size: int) -> float:
        """By the mean share."""
        return size * self.y / self.weight

    def best(self, size: int) -> float:
        """By the one of both that was nearer, within what text can be."""
        return min(max(super().best(size), size / BYTES_A_TOKEN), size)

    def _point(self, size: int, tokens: int) -> tuple[float, float]:
        return 1 / size, tokens / size

    def _tokens(self, size: int, level: float, slope: float) -> float:
        return size * level + slope


def _error(guess: float, tokens: int) -> float:
    """No single pair counts for more than being off by all."""
    return min(abs(guess - tokens) / tokens, 1.0)
