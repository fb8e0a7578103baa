"""Whatever is given wrongly is an exception that says what is wrong and what to do."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import leitmotif
import numpy as np
import pytest
from conftest import MODEL, SONG

SAMPLES = np.full(20_000, 0.1, np.float32)


def test_files_that_are_no_audio_are_named(recognizer: leitmotif.Recognizer, tmp_path: Path) -> None:
    text = tmp_path / "notes.mp3"
    text.write_text("no music at all, only words\n" * 1_000)
    with pytest.raises(leitmotif.AudioError, match=r"notes\.mp3.*convert it|notes\.mp3.*name the audio") as caught:
        recognizer.recognize(text)
    assert caught.value.path == text
    with pytest.raises(FileNotFoundError, match=r"there is no file .*gone\.mp3; check the path") as missing:
        recognizer.recognize(tmp_path / "gone.mp3")
    assert isinstance(missing.value, leitmotif.AudioError)
    with pytest.raises(OSError, match="is not a regular file"):
        recognizer.recognize(tmp_path)
    with pytest.raises(ValueError, match=r"\(bytes\) is empty"):
        recognizer.recognize(b"")


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.zeros((3, 2, 20_000), np.float32), r"shape \(3, 2, 20000\) is no recording: give \(frames,\)"),
        (np.zeros((480, 640), np.float32), r"shape \(480, 640\) is no recording"),
        (np.zeros((2, 2), np.float32), r"shape \(2, 2\) is no recording"),
        (np.float32(0.5).reshape(()), r"shape \(\) is no recording"),
        (np.zeros((20_000, 0), np.float32), r"shape \(20000, 0\) is no recording"),
        (SAMPLES.astype(np.int32), r"int32 has no known scale: divide it by 2147483648\.0"),
        (SAMPLES.astype(np.uint8), r"uint8 has no known scale: subtract 128\.0 and divide it by 128\.0"),
        (SAMPLES.astype(np.int64), "int64 has no known scale: give floats"),
        (SAMPLES.astype(np.complex64), "complex64 has no known scale"),
        (SAMPLES.astype(bool), "bool has no known scale"),
        (np.array(["a"] * 100), "has no known scale"),
        (SAMPLES * 300_000, "30000 times full scale: divide them by 32,768"),
        (np.append(SAMPLES, np.nan), "sample 20000 is NaN"),
        (SAMPLES[:10], "seconds long and the network needs"),
        (SAMPLES[:0], "0.00 seconds long"),
    ],
)
def test_arrays_that_are_no_recording(recognizer: leitmotif.Recognizer, samples: Any, words: str) -> None:
    with pytest.raises(leitmotif.AudioError, match=words):
        recognizer.recognize(samples, rate=16_000)


def test_rates(recognizer: leitmotif.Recognizer) -> None:
    call: Any = recognizer.recognize
    with pytest.raises(TypeError, match="an array needs its rate in Hz"):
        call(SAMPLES)
    with pytest.raises(TypeError, match="a file states its own: leave it out"):
        call(SONG, rate=16_000)
    with pytest.raises(TypeError, match="`rate` is a number of Hz"):
        call(SAMPLES, rate="44100")
    for rate in (0, 44_100.5, -1, 10**9, float("nan")):
        with pytest.raises(leitmotif.AudioError, match="Hz cannot be"):
            call(SAMPLES, rate=rate)


def test_what_is_no_recording_at_all(recognizer: leitmotif.Recognizer, tmp_path: Path) -> None:
    call: Any = recognizer.recognize
    for odd in (None, 7, [0.1, 0.2], object()):
        with pytest.raises(TypeError, match="is no recording: give a path"):
            call(odd)
    with pytest.raises(TypeError, match="open it in binary mode"):
        call(io.StringIO("text"))

    class Broken:
        def read(self) -> bytes:
            raise ConnectionResetError("the other side is gone")

    with pytest.raises(ConnectionResetError, match="the other side is gone"):
        call(Broken())


def test_models_that_cannot_be_used(tmp_path: Path, recognizer: leitmotif.Recognizer) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.onnx.*check the path"):
        leitmotif.Recognizer(tmp_path / "gone.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(MODEL.read_bytes()[:1_000])
    with pytest.raises(leitmotif.ModelError, match=r"broken\.onnx.*fetch or export it again") as caught:
        leitmotif.Recognizer(broken)
    assert caught.value.path == broken
    newer = tmp_path / "newer.onnx"
    newer.write_bytes(MODEL.read_bytes().replace(b'{"version":2,', b'{"version":9,'))
    with pytest.raises(
        leitmotif.ModelError, match=r"newer\.onnx.*card of version 9.*use the leitmotif release that wrote it"
    ):
        leitmotif.Recognizer(newer)
    call: Any = leitmotif.Recognizer
    with pytest.raises(TypeError, match="the path of an .onnx file, or its bytes"):
        call(7)


def test_options_that_there_are_not(recognizer: leitmotif.Recognizer) -> None:
    call: Any = recognizer.recognize
    batch: Any = recognizer.recognize_batch
    opened: Any = leitmotif.Recognizer
    with pytest.raises(leitmotif.OptionError, match='no average `mean`: use "probabilities"'):
        call(SONG, average="mean")
    with pytest.raises(leitmotif.OptionError, match="at least 1"):
        call(SONG, top=0)
    with pytest.raises(leitmotif.OptionError, match="a hop of 0 samples"):
        call(SONG, hop=0)
    for function, given, name in (
        (call, SONG, "top"),
        (call, SONG, "hop"),
        (batch, [SONG], "jobs"),
        (opened, MODEL, "threads"),
        (opened, MODEL, "sessions"),
        (opened, MODEL, "memory_limit"),
    ):
        for number in (-1, 10**30):
            with pytest.raises(leitmotif.OptionError, match=f"`{name}` cannot be {number}: give a whole number from 0"):
                function(given, **{name: number})
    with pytest.raises(TypeError):
        opened(MODEL, threads="two")
    with pytest.raises(leitmotif.OptionError, match="-1 seconds"):
        call(SONG, time_limit=-1.0)
    with pytest.raises(leitmotif.OptionError, match="no device `gpu`: use `auto`"):
        opened(MODEL, device="gpu")
    with pytest.raises(leitmotif.OptionError, match='no device policy `never`: use "strict"'):
        opened(MODEL, device_policy="never")


def test_a_device_that_is_not_there_is_an_error_and_never_the_cpu() -> None:
    with pytest.raises(leitmotif.DeviceError, match='use `device="cpu"` or `"auto"`'):
        leitmotif.Recognizer(MODEL, device="cuda:99")
    allowed = leitmotif.Recognizer(MODEL, device="cuda:99", device_policy="allow")
    assert allowed.device == "cpu"


# So short a hop takes minutes.
SLOW: Any = {"hop": 1, "timeline": False}


def test_a_time_limit_and_a_token_end_a_recognition(recognizer: leitmotif.Recognizer) -> None:
    samples = np.random.default_rng(3).uniform(-0.5, 0.5, 16_000 * 600).astype(np.float32)
    with pytest.raises(TimeoutError, match=r"longer than the 0\.1 seconds.*allow more"):
        recognizer.recognize(samples, rate=16_000, time_limit=0.1, **SLOW)
    cancel = leitmotif.CancelToken()
    threading.Timer(0.1, cancel.cancel).start()
    with pytest.raises(leitmotif.CancelledError):
        recognizer.recognize(samples, rate=16_000, cancel=cancel, **SLOW)
    assert cancel.cancelled
    # Later, too, and a call that is done before anybody looks again.
    call: Any = recognizer.recognize
    for source, rate in ((SONG, None), (SAMPLES, 16_000)):
        with pytest.raises(leitmotif.CancelledError):
            call(source, rate=rate, cancel=cancel)
    assert cancel.cancelled
