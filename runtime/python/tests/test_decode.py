"""`decode` gives what the network was trained on and is served."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import leitmotif
import numpy as np
import onnxruntime
import pytest
from conftest import DATA, MODEL, SONG


def test_samples_are_mono_floats_at_16_khz() -> None:
    for file in sorted((DATA / "audio").glob("*.flac")):
        samples = leitmotif.decode(file)
        assert samples.dtype == np.float32 and samples.ndim == 1
        # Two seconds: runtime/tests/data/audio/make.py.
        assert len(samples) == 2 * leitmotif.SAMPLE_RATE
        assert np.abs(samples).max() <= 1.0
    assert np.array_equal(leitmotif.decode(SONG.read_bytes()), leitmotif.decode(SONG))
    assert np.array_equal(leitmotif.decode(io.BytesIO(SONG.read_bytes())), leitmotif.decode(str(SONG)))


def test_the_graph_of_decoded_samples_gives_the_recognizers_answer(recognizer: leitmotif.Recognizer) -> None:
    session = onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"waveform": leitmotif.decode(SONG)[None]})
    answer = recognizer.recognize(SONG)
    assert np.allclose(probabilities[0], answer.uncalibrated, atol=1e-6)
    classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    assert tuple(classes) == recognizer.artists


def test_what_cannot_be_decoded(tmp_path: Path) -> None:
    call: Any = leitmotif.decode
    with pytest.raises(TypeError, match="decoded already: give a file"):
        call(np.zeros(100))
    with pytest.raises(leitmotif.AudioNotFoundError, match="check the path"):
        call(tmp_path / "gone.flac")
    (tmp_path / "zeros.wav").write_bytes(bytes(10_000))
    with pytest.raises(leitmotif.AudioError, match=r"zeros\.wav"):
        call(tmp_path / "zeros.wav")
