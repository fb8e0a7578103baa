"""What the functions take, for type checkers."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt


class BinaryFile(Protocol):
    """A file object that was opened in binary mode."""

    def read(self) -> bytes: ...


class ArrayLike(Protocol):
    """What becomes an array, such as a tensor of another library."""

    def __array__(self) -> npt.NDArray[Any]: ...


class Bar(Protocol):
    """A progress bar, such as tqdm's."""

    def update(self, n: int, /) -> object: ...


Path: TypeAlias = str | PathLike[str]
File: TypeAlias = Path | bytes | bytearray | memoryview | BinaryFile
Samples: TypeAlias = npt.NDArray[np.floating[Any] | np.int16] | ArrayLike
Rate: TypeAlias = float | np.integer[Any] | np.floating[Any]
Progress: TypeAlias = Bar | type[Bar] | Callable[[int, int], object]
