"""The stage `edit` of pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, ClassVar

from annotated_types import Ge

from i2i.core.bounds import Positive
from i2i.core.stages import ClipShape
from i2i.errors import OptionError
from i2i.use.stages import image_size_of


class Edit:
    """Generate the image of a seed while directions are applied with a growing strength.

    Args:
        run: run folder of a StyleGAN2.
        directions: strengths at the last frame, by the names of the run's directions; 0 at the first frame.
        seed: number >= 0.
        truncation: distance from the average style that is kept.
        frames: number of frames.
        rate: frames per second.
        device: such as `cuda:1`; the machine's accelerator when None.

    Raises:
        OptionError: there are no directions.
    """

    generates: ClassVar[bool] = True

    def __init__(
        self,
        run: Path,
        directions: dict[str, float],
        seed: Annotated[int, Ge(0)] = 0,
        truncation: float = 1.0,
        frames: Positive = 60,
        rate: Positive = 25,
        device: str | None = None,
    ) -> None:
        self.check(directions)
        self.run, self.directions, self.seed, self.truncation = Path(run), directions, seed, truncation
        self.count, self.rate, self.device = frames, rate, device

    @classmethod
    def check(cls, directions: dict[str, float]) -> None:
        """Refuse an edit without directions."""
        if not directions:
            raise OptionError("directions", "expected at least one with its strength, such as { smile = 2.0 }")

    def plan(self, shape: ClipShape) -> ClipShape:
        height, width = image_size_of(self.run)
        return ClipShape(width, height, Fraction(self.rate), self.count)

    def frames(self, clip: Iterator[Any]) -> Iterator[Any]:
        import numpy as np

        from i2i.data.images import to_image
        from i2i_edit.editor import Editor
        from i2i_edit.vectors import combined

        editor = Editor(self.run, self.device)
        latent = editor.seed(self.seed, self.truncation)
        directions = [(editor.direction(name), strength) for name, strength in self.directions.items()]
        for number in range(self.count):
            share = number / max(1, self.count - 1)
            change = combined([direction * (share * strength) for direction, strength in directions])
            yield np.asarray(to_image(editor.generate(latent, change)[0]).convert("RGB"))

    def restart(self, index: int) -> tuple[int, int]:
        """Return how many frames to leave out; those before are generated again, which is quick."""
        return 0, index
