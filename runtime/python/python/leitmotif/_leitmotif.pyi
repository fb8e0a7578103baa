from collections.abc import Callable, Iterable
from typing import Any, Literal, final, overload

import numpy as np
import numpy.typing as npt

from ._answers import Answer, GalleryAnswer, RuntimeInfo, SelfTest
from ._types import File, Path, Progress, Rate, Samples

SAMPLE_RATE: int
__version__: str

__all__ = [
    "SAMPLE_RATE",
    "CancelToken",
    "Gallery",
    "Listener",
    "Recognizer",
    "__version__",
    "decode",
    "runtime_info",
]

@final
class CancelToken:
    def __new__(cls) -> CancelToken: ...
    def cancel(self) -> None: ...
    @property
    def cancelled(self) -> bool: ...

@final
class Recognizer:
    def __new__(
        cls,
        model: Path | bytes,
        *,
        device: str = "auto",
        device_policy: Literal["strict", "warn", "allow"] = "warn",
        threads: int = 0,
        sessions: int = 0,
        memory_limit: int | None = None,
        release_memory: bool = False,
        spinning: bool = False,
        warm_up: bool = False,
        self_test: bool = False,
        tf32: bool = False,
        onnxruntime: Path | None = None,
    ) -> Recognizer: ...
    @overload
    def recognize(
        self,
        source: File,
        /,
        *,
        rate: None = None,
        top: int | None = None,
        timeline: bool = True,
        average: Literal["probabilities", "logits"] = "probabilities",
        hop: int | None = None,
        time_limit: float | None = None,
        cancel: CancelToken | None = None,
    ) -> Answer: ...
    @overload
    def recognize(
        self,
        source: Samples,
        /,
        *,
        rate: Rate,
        top: int | None = None,
        timeline: bool = True,
        average: Literal["probabilities", "logits"] = "probabilities",
        hop: int | None = None,
        time_limit: float | None = None,
        cancel: CancelToken | None = None,
    ) -> Answer: ...
    @overload
    def embed(
        self, source: File, /, *, rate: None = None, cancel: CancelToken | None = None
    ) -> npt.NDArray[np.float32]: ...
    @overload
    def embed(
        self, source: Samples, /, *, rate: Rate, cancel: CancelToken | None = None
    ) -> npt.NDArray[np.float32]: ...
    @overload
    def recognize_batch(
        self,
        sources: Iterable[File | Samples],
        /,
        *,
        errors: Literal["raise"],
        rate: Rate | None = None,
        jobs: int | None = None,
        progress: Progress | None = None,
        on_result: Callable[[int, Answer], object] | None = None,
        top: int | None = None,
        timeline: bool = True,
        average: Literal["probabilities", "logits"] = "probabilities",
        hop: int | None = None,
        time_limit: float | None = None,
        cancel: CancelToken | None = None,
    ) -> list[Answer]: ...
    @overload
    def recognize_batch(
        self,
        sources: Iterable[File | Samples],
        /,
        *,
        errors: Literal["return"] = "return",
        rate: Rate | None = None,
        jobs: int | None = None,
        progress: Progress | None = None,
        on_result: Callable[[int, Answer | Exception], object] | None = None,
        top: int | None = None,
        timeline: bool = True,
        average: Literal["probabilities", "logits"] = "probabilities",
        hop: int | None = None,
        time_limit: float | None = None,
        cancel: CancelToken | None = None,
    ) -> list[Answer | Exception]: ...
    def listen(
        self,
        rate: Rate,
        *,
        top: int | None = None,
        average: Literal["probabilities", "logits"] = "probabilities",
        hop: int | None = None,
    ) -> Listener: ...
    def self_test(self) -> SelfTest: ...
    @property
    def card(self) -> dict[str, Any]: ...
    @property
    def artists(self) -> tuple[str, ...]: ...
    @property
    def path(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def device_reason(self) -> str: ...
    @property
    def warning(self) -> str | None: ...
    @property
    def placement(self) -> dict[str, dict[str, int]]: ...
    @property
    def sessions(self) -> int: ...
    @property
    def segment_seconds(self) -> float: ...
    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]: ...

@final
class Listener:
    def push(self, samples: Samples) -> Answer | None: ...
    def finish(self) -> Answer: ...
    def reset(self) -> None: ...
    @property
    def seconds(self) -> float: ...

@final
class Gallery:
    def __new__(cls, recognizer: Recognizer) -> Gallery: ...
    @classmethod
    def load(cls, path: Path, recognizer: Recognizer) -> Gallery: ...
    def save(self, path: Path) -> None: ...
    def enroll(self, artist: str, song: str, answer: Answer | npt.ArrayLike) -> None: ...
    def recognize(self, answer: Answer | npt.ArrayLike) -> GalleryAnswer: ...
    @property
    def artists(self) -> dict[str, list[str]]: ...
    @property
    def min_similarity(self) -> float | None: ...
    def __len__(self) -> int: ...

def decode(source: File, /) -> npt.NDArray[np.float32]: ...
def runtime_info(onnxruntime: Path | None = None) -> RuntimeInfo: ...
