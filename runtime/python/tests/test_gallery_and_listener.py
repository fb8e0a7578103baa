"""Artists that the model does not know, and live audio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import leitmotif
import numpy as np
import pytest
from conftest import DATA, SONG, STEREO


def test_a_gallery_recognises_who_is_enrolled(recognizer: leitmotif.Recognizer, tmp_path: Path) -> None:
    gallery = leitmotif.Gallery(recognizer)
    ada, bo = recognizer.recognize(SONG), recognizer.embed(STEREO)
    gallery.enroll("Ada", "mtat", ada)
    gallery.enroll("Bo", "s16", bo)
    assert (len(gallery), gallery.artists) == (2, {"Ada": ["mtat"], "Bo": ["s16"]})
    assert repr(gallery) == "<Gallery of 2 artists, 2 songs>"
    gallery.save(tmp_path / "friends.gallery")
    loaded = leitmotif.Gallery.load(tmp_path / "friends.gallery", recognizer)
    answer = loaded.recognize(ada)
    assert answer.best.artist == "Ada"
    assert answer.best.similarity == pytest.approx(1.0)
    assert (answer.unknown, answer.min_similarity, loaded.min_similarity) == (None, None, None)
    assert answer == gallery.recognize(ada.embedding)
    assert "Ada" in answer._repr_html_()
    assert answer.to_dict()["artists"][0]["artist"] == "Ada"


def test_what_a_gallery_does_not_take(recognizer: leitmotif.Recognizer, tmp_path: Path) -> None:
    gallery = leitmotif.Gallery(recognizer)
    answer = recognizer.recognize(SONG)
    with pytest.raises(leitmotif.GalleryError, match="enrol songs first"):
        gallery.recognize(answer)
    gallery.enroll("Ada", "song", answer)
    with pytest.raises(leitmotif.GalleryError, match="enrol each song once"):
        gallery.enroll("Ada", "again", answer)
    with pytest.raises(leitmotif.GalleryError, match="the embedding has 3 values"):
        gallery.enroll("Ada", "short", np.zeros(3))
    with pytest.raises(leitmotif.GalleryError, match="silent"):
        gallery.enroll("Ada", "silence", recognizer.recognize(np.zeros(20_000), rate=16_000))
    with pytest.raises(FileNotFoundError, match="check the path"):
        leitmotif.Gallery.load(tmp_path / "gone.gallery", recognizer)
    gallery.save(tmp_path / "ada.gallery")
    other = leitmotif.Recognizer(DATA / "tiny.sequence.onnx", device="cpu")
    with pytest.raises(leitmotif.GalleryError, match="made with another model"):
        leitmotif.Gallery.load(tmp_path / "ada.gallery", other)


def test_a_listener_ends_with_the_answer_of_the_whole(recognizer: leitmotif.Recognizer) -> None:
    samples = leitmotif.decode(SONG)
    listener = recognizer.listen(16_000)
    first, *rest = np.split(samples, [100, 5_000, 20_000])
    assert listener.push(first) is None
    assert all(listener.push(chunk) is not None for chunk in rest)
    assert listener.seconds == len(samples) / 16_000
    last = listener.finish()
    assert np.allclose(last.uncalibrated, recognizer.recognize(SONG).uncalibrated, atol=1e-6)
    assert listener.seconds == 0
    listener.push((samples * 32_768).astype(np.int16))
    assert listener.finish().best.artist == last.best.artist
    listener.push(samples)
    listener.reset()
    with pytest.raises(leitmotif.TooShortError):
        listener.finish()


def test_a_listener_takes_mono_samples_alone(recognizer: leitmotif.Recognizer) -> None:
    listener: Any = recognizer.listen(44_100)
    with pytest.raises(leitmotif.AudioError, match=r"shape \(100, 2\) are not mono"):
        listener.push(np.zeros((100, 2)))
    with pytest.raises(TypeError, match="NumPy array"):
        listener.push([0.1])
    with pytest.raises(leitmotif.AudioError, match="cannot be resampled"):
        recognizer.listen(10)
    sequence = leitmotif.Recognizer(DATA / "tiny.sequence.onnx", device="cpu")
    with pytest.raises(leitmotif.ModelError, match="`step` graph"):
        sequence.listen(16_000)
