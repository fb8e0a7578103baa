"""The exceptions of leitmotif. Each says what is wrong and what to do; `path` is the file at fault, if there is one."""

from __future__ import annotations

from pathlib import Path


class LeitmotifError(Exception):
    """Base of every exception that this package raises by itself, but for `TypeError` of arguments of a wrong type."""

    path: Path | None = None


class ModelError(LeitmotifError, ValueError):
    """The file is no model that can be used here: damaged, without a card, of another version."""


class ModelReadError(OSError, ModelError):
    """The system cannot read the model's file."""


class ModelNotFoundError(FileNotFoundError, ModelReadError):
    """There is no such model file."""


class AudioError(LeitmotifError, ValueError):
    """A recording that cannot be decoded, or an array that is no audio: by its shape, its type or its scale."""


class AudioReadError(OSError, AudioError):
    """The system cannot read the recording's file."""


class AudioNotFoundError(FileNotFoundError, AudioReadError):
    """There is no such recording."""


class TooShortError(AudioError):
    """The recording is shorter than one segment of the network."""


class GalleryError(LeitmotifError, ValueError):
    """A gallery that is damaged or of another model, or a song that it does not take."""


class GalleryFileError(OSError, GalleryError):
    """The system cannot read or write the gallery's file."""


class GalleryNotFoundError(FileNotFoundError, GalleryFileError):
    """There is no such gallery."""


class OptionError(LeitmotifError, ValueError):
    """An option has a value that it cannot have, or not with this model."""


class RuntimeLibraryError(OSError, LeitmotifError):
    """ONNX Runtime's library is missing, too old or in use from elsewhere."""


class DeviceError(LeitmotifError, RuntimeError):
    """The device that was asked for cannot run the model."""


class RunError(LeitmotifError, RuntimeError):
    """The model could not be run."""


class ForkError(RunError):
    """This process was forked from one that had opened a model."""


class OutOfMemoryError(LeitmotifError, MemoryError):
    """There is not enough memory to open the model."""


class CancelledError(LeitmotifError):
    """A `CancelToken` stopped the recognition."""


class TimeLimitError(TimeoutError, LeitmotifError):
    """The recognition took longer than its `time_limit`."""


class DeviceWarning(UserWarning):
    """A model does not run, or not wholly, on the device that it was to run on."""
