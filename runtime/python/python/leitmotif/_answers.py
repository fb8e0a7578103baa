"""What recognising gives: plain objects that print well, can be pickled, and become dictionaries and data frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RankedArtist:
    """One artist of an answer's ranking."""

    artist: str
    """The artist's name, as the model carries it."""
    probability: float
    """Between 0 and 1."""
    index: int
    """The artist's place in the model's list, `Recognizer.artists`."""


@dataclass(frozen=True)
class AudioNote:
    """What is remarkable about a file that is decoded all the same."""

    kind: str
    """`wrong_header`, `bytes_before`, `scaled`, `cancelling`…"""
    text: str
    """The same as a sentence, with its numbers."""
    values: dict[str, float] = field(default_factory=dict, hash=False)
    """Its numbers by name."""


@dataclass(frozen=True)
class AudioInfo:
    """The properties of an audio file."""

    codec: str
    sample_rate: int
    """The file's own rate in Hz, before resampling."""
    channels: int
    duration_seconds: float | None
    """Length as the file states it, where it does."""
    skipped_packets: int
    """Damaged packets that were left out."""
    lost_seconds: float
    truncated: bool
    """Whether the file was cut off, or whole stretches of it are damaged."""
    notes: tuple[AudioNote, ...] = ()


@dataclass(frozen=True, eq=False)
class Moment:
    """One segment of a recording."""

    start_seconds: float
    end_seconds: float
    window: int
    """The window that it belongs to, counted from zero."""
    probabilities: Floats
    """One for each artist, in the model's order; never calibrated."""


@dataclass(frozen=True, eq=False)
class Timeline(Sequence[Moment]):
    """A recording segment by segment: a sequence of `Moment`, kept as arrays."""

    start_seconds: npt.NDArray[np.float64]
    end_seconds: npt.NDArray[np.float64]
    windows: npt.NDArray[np.int64]
    probabilities: Floats
    """Of shape (segments, artists). Of a dense head those of each segment alone, of an LSTM those of the window up to
    and including the segment; never calibrated."""
    artists: tuple[str, ...] = field(repr=False)
    """The names of the columns of `probabilities`."""

    def __len__(self) -> int:
        return len(self.windows)

    @overload
    def __getitem__(self, index: int) -> Moment: ...
    @overload
    def __getitem__(self, index: slice) -> list[Moment]: ...
    def __getitem__(self, index: int | slice) -> Moment | list[Moment]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return Moment(
            float(self.start_seconds[index]),
            float(self.end_seconds[index]),
            int(self.windows[index]),
            self.probabilities[index],
        )

    def __iter__(self) -> Iterator[Moment]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"<Timeline of {len(self)} segments>"

    def best(self) -> npt.NDArray[np.int64]:
        """Each segment's most probable artist, as the index into `artists`."""
        return np.argmax(self.probabilities, axis=1) if len(self) else np.zeros(0, np.int64)

    def to_pandas(self) -> pandas.DataFrame:
        """A row for each segment, by its start in seconds; a column for each artist."""
        index = _pandas().Index(self.start_seconds, name="start_seconds")
        return _frame(self.probabilities, index=index, columns=list(self.artists))


@dataclass(frozen=True, eq=False, repr=False)
class Answer:
    """A network's answer for one recording."""

    artists: tuple[RankedArtist, ...]
    """Most probable first, calibrated where the model's card says how; all, or the first `top`."""
    unknown: bool | None
    """Whether the recording is of none of the artists; `None` where the model has no threshold for that."""
    silent: bool
    """Whether the recording is silent, and its probabilities mean nothing."""
    certainty: float
    """Mean of the segments' largest probabilities: music of an unknown artist lowers it."""
    min_certainty: float | None
    """The certainty below which `unknown` is true."""
    seconds: float
    used_seconds: float
    """Seconds to the end of the last segment that counts."""
    peak: float
    """Largest absolute sample; full scale is 1."""
    segments: int
    windows: int
    embedding: Floats
    """The recording's direction in the network's last layer: what a `Gallery` compares."""
    uncalibrated: Floats
    """The network's own probabilities, in the order of `Recognizer.artists`."""
    audio: AudioInfo | None
    """The file's properties; `None` if samples were given."""
    timeline: Timeline
    """Segment by segment; empty with `timeline=False`."""
    network_seconds: float
    """Time that the network took."""
    total_seconds: float
    """Time that all of it took, decoding included."""
    source: str | None = None
    """The recording's path or name, where it has one."""

    @property
    def best(self) -> RankedArtist:
        """The most probable artist, also where `unknown` says that it is none of them."""
        return self.artists[0]

    @property
    def artist(self) -> str | None:
        """The most probable artist's name; `None` where the recording is silent or of none of the artists."""
        return None if self.silent or self.unknown or not self.artists else self.best.artist

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON could hold it, with the keys of the command `leitmotif recognize --json`."""
        answer: dict[str, Any] = {
            "unknown": self.unknown,
            "silent": self.silent,
            "artists": [{"class": a.index, "artist": a.artist, "probability": a.probability} for a in self.artists],
            "certainty": self.certainty,
            "min_certainty": self.min_certainty,
            "seconds": self.seconds,
            "used_seconds": self.used_seconds,
            "peak": self.peak,
            "segments": self.segments,
            "windows": self.windows,
            "embedding": self.embedding.tolist(),
            "audio": None,
        }
        if self.source is not None:
            answer = {"file": self.source, **answer}
        if self.audio is not None:
            notes = [{"kind": note.kind, **note.values} for note in self.audio.notes]
            answer["audio"] = {**self.audio.__dict__, "notes": notes}
        if len(self.timeline):
            answer["timeline"] = [{**m.__dict__, "probabilities": m.probabilities.tolist()} for m in self.timeline]
        return answer

    def to_pandas(self) -> pandas.DataFrame:
        """The ranking: a row for each artist. The segments are `answer.timeline.to_pandas()`."""
        return _frame([a.__dict__ for a in self.artists], columns=["artist", "probability", "index"])

    def __repr__(self) -> str:
        name = self.source or "samples"
        ranking = ", ".join(f"{a.artist} {100 * a.probability:.1f} %" for a in self.artists[:3])
        more = ", …" if len(self.artists) > 3 else ""
        return f"<Answer for {name} ({self.seconds:.1f} s): {remark(self)}{ranking}{more}>"

    def _repr_html_(self) -> str:
        from . import _html

        return _html.answer(self, remark(self).removesuffix("; "))


def remark(answer: Answer) -> str:
    """What a reader must know before the ranking."""
    if answer.silent:
        return "silent; "
    return "none of these artists; " if answer.unknown else ""


@dataclass(frozen=True)
class SimilarArtist:
    """One artist of a gallery's answer."""

    artist: str
    similarity: float
    """From -1 to 1, the cosine of an angle: no probability."""


@dataclass(frozen=True)
class GalleryAnswer:
    """How similar a recording is to the artists of a gallery."""

    artists: tuple[SimilarArtist, ...]
    """Most similar first."""
    unknown: bool | None
    """Whether the recording is of none of these artists; `None` where too few songs are enrolled to say."""
    min_similarity: float | None
    """The similarity below which `unknown` is true."""

    @property
    def best(self) -> SimilarArtist:
        """The most similar artist, also where `unknown` says that it is none of them."""
        return self.artists[0]

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON could hold it."""
        return {**self.__dict__, "artists": [dict(a.__dict__) for a in self.artists]}

    def to_pandas(self) -> pandas.DataFrame:
        """A row for each artist."""
        return _frame([a.__dict__ for a in self.artists], columns=["artist", "similarity"])

    def _repr_html_(self) -> str:
        from . import _html

        return _html.gallery(self)


@dataclass(frozen=True)
class SelfTest:
    """Whether this machine computes what the trainer computed."""

    passed: bool
    largest_difference: float
    """Largest difference of a probability."""
    tolerance: float
    """Largest difference that the model's precision allows."""
    artist: str
    """The artist whose probability differs most."""
    same_best: bool


@dataclass(frozen=True)
class RuntimeInfo:
    """The ONNX Runtime that this process uses."""

    library: str
    build: str
    cuda_obstacle: str | None
    """What keeps CUDA from running, as far as is known without a model; `None` if nothing is known to."""


def _frame(*values: Any, **options: Any) -> pandas.DataFrame:
    frame: pandas.DataFrame = _pandas().DataFrame(*values, **options)
    return frame


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ImportError("data frames need pandas: `pip install pandas`, or use `to_dict()`") from error
    return pandas
