"""Answers are those of the crate, whatever they are asked with, and print well."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import pickle
import subprocess
import wave
from html import escape
from pathlib import Path
from typing import Any

import leitmotif
import numpy as np
import pytest
from conftest import CHECKOUT, DATA, MODEL, SONG, STEREO

ORT = leitmotif.runtime_info().library


def command(*arguments: object) -> list[dict[str, object]]:
    """The rows of the command `leitmotif recognize`, on the same ONNX Runtime."""
    program = os.environ.get("LEITMOTIF_COMMAND", str(CHECKOUT / "target" / "release" / "leitmotif"))
    line = [program, "recognize", "--format", "ndjson", "--timeline", "--device", "cpu", *map(str, arguments)]
    run = subprocess.run(line, env={**os.environ, "ORT_DYLIB_PATH": ORT}, capture_output=True, text=True, check=True)
    return [json.loads(row) for row in run.stdout.splitlines()]


def rounded(value: object) -> object:
    """The value with its numbers in 32 bits, which are those of the network: JSON has their shortest text."""
    if isinstance(value, float):
        return float(np.float32(value))
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return [rounded(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("model", ["tiny.clip.onnx", "tiny.segment.onnx", "tiny.sequence.onnx", "tiny.step.onnx"])
def test_answers_are_those_of_the_command_to_the_bit(model: str) -> None:
    songs = [SONG, STEREO, DATA / "audio" / "stereo.opus"]
    rows = command("--model", DATA / model, *songs)
    recognizer = leitmotif.Recognizer(DATA / model, device="cpu")
    assert len(rows) == len(songs)
    for song, row in zip(songs, rows, strict=True):
        answer = recognizer.recognize(song).to_dict()
        for key in ("version", "model", "weights"):
            row.pop(key)
        assert rounded(answer) == rounded(row)


def test_a_path_bytes_and_file_objects_give_one_answer(recognizer: leitmotif.Recognizer) -> None:
    expected = recognizer.recognize(SONG)
    data = SONG.read_bytes()
    given: list[Any] = [str(SONG), data, bytearray(data), memoryview(data), io.BytesIO(data), SONG.open("rb")]
    names = [str(SONG), "(bytes)", "(bytes)", "(bytes)", "(file object)", str(SONG)]
    for source, name in zip(given, names, strict=True):
        answer = recognizer.recognize(source)
        assert answer.source == name
        assert answer.artists == expected.artists
        assert np.array_equal(answer.timeline.probabilities, expected.timeline.probabilities)
        if isinstance(source, io.IOBase):
            source.close()


def test_arrays_of_every_float_and_int16_in_both_orders_give_one_answer(recognizer: leitmotif.Recognizer) -> None:
    whole = np.random.default_rng(1).integers(-9_000, 9_000, (48_000, 2)).astype(np.int16)
    floats = whole / np.float64(32_768)
    expected = recognizer.recognize(whole, rate=44_100)
    given: list[Any] = [
        floats,
        floats.astype(np.float32),
        floats.astype(np.longdouble),
        floats.T,
        np.asfortranarray(floats),
    ]
    given += [whole.T, np.repeat(whole, 2, axis=0)[::2], floats.astype(">f4")]
    for samples in given:
        assert recognizer.recognize(samples, rate=44_100.0).artists == expected.artists, samples.dtype
    half = recognizer.recognize(floats.astype(np.float16), rate=np.int64(44_100))
    assert half.best.probability == pytest.approx(expected.best.probability, abs=1e-3)
    mono = recognizer.recognize(floats.mean(axis=1), rate=44_100)
    assert mono.best.probability == pytest.approx(expected.best.probability, abs=1e-6)


def test_numpys_strings_are_paths_and_bytes(recognizer: leitmotif.Recognizer) -> None:
    expected = recognizer.recognize(SONG).artists
    paths = np.array([str(SONG)])
    assert recognizer.recognize(paths[0]).artists == expected
    assert recognizer.recognize(np.bytes_(SONG.read_bytes())).artists == expected
    assert [answer.artists for answer in recognizer.recognize_batch(paths, errors="raise")] == [expected]
    assert np.array_equal(leitmotif.decode(paths[0]), leitmotif.decode(SONG))


def test_what_becomes_an_array_is_one(recognizer: leitmotif.Recognizer) -> None:
    class Tensor:
        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
            return np.full(20_000, 0.25, np.float32)

    assert (
        recognizer.recognize(Tensor(), rate=16_000).artists
        == recognizer.recognize(np.full(20_000, 0.25), rate=16_000).artists
    )


def test_a_wave_file_and_its_array_have_one_answer(recognizer: leitmotif.Recognizer, tmp_path: Path) -> None:
    samples = np.random.default_rng(2).integers(-9_000, 9_000, (30_000, 2)).astype("<i2")
    with wave.open(str(tmp_path / "noise.wav"), "wb") as file:
        file.setparams((2, 2, 22_050, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    from_file, from_array = recognizer.recognize(tmp_path / "noise.wav"), recognizer.recognize(samples, rate=22_050)
    assert np.allclose(from_file.uncalibrated, from_array.uncalibrated, atol=1e-6)
    assert from_file.audio is not None
    assert (from_file.audio.codec, from_file.audio.channels) == ("pcm_s16le", 2)
    assert (from_array.audio, hash(from_file.audio)) == (None, hash(from_file.audio))


def test_options_are_the_crates(recognizer: leitmotif.Recognizer) -> None:
    whole = recognizer.recognize(SONG)
    assert recognizer.recognize(SONG, top=2).artists == whole.artists[:2]
    assert len(recognizer.recognize(SONG, timeline=False).timeline) == 0
    assert recognizer.recognize(SONG, hop=100).segments > whole.segments
    assert recognizer.recognize(SONG, average="logits").best.probability != whole.best.probability


def test_the_embedding_is_that_of_the_answer(recognizer: leitmotif.Recognizer) -> None:
    embedding = recognizer.embed(SONG)
    assert embedding.dtype == np.float32
    assert embedding.shape == (recognizer.card["embedding_units"],)
    assert np.array_equal(embedding, recognizer.recognize(SONG).embedding)


def test_a_recognizer_describes_itself(recognizer: leitmotif.Recognizer) -> None:
    assert recognizer.artists == tuple(recognizer.card["classes"])
    assert recognizer.path == str(MODEL)
    assert repr(recognizer) == "<Recognizer tiny.clip.onnx: 3 artists, on cpu>"
    assert (recognizer.device, recognizer.device_reason, recognizer.warning) == ("cpu", "asked for", None)
    assert list(recognizer.placement) == ["CPUExecutionProvider"]
    assert recognizer.segment_seconds == recognizer.card["segment_samples"] / leitmotif.SAMPLE_RATE
    assert recognizer.self_test().passed
    assert leitmotif.Recognizer(MODEL.read_bytes()).path == "(in memory)"


def test_an_answer_prints_well(recognizer: leitmotif.Recognizer) -> None:
    answer = recognizer.recognize(SONG)
    assert repr(answer).startswith(f"<Answer for {SONG} ({answer.seconds:.1f} s): ")
    assert f"{answer.best.artist} {100 * answer.best.probability:.1f} %" in repr(answer)
    html = answer._repr_html_()
    assert "<svg" in html and "<rect" in html and escape(answer.best.artist) in html
    silent = recognizer.recognize(np.zeros(20_000), rate=16_000)
    assert silent.silent and silent.artist is None
    assert "silent" in repr(silent) and "<b>silent</b>" in silent._repr_html_()


def test_names_in_html_are_escaped(recognizer: leitmotif.Recognizer, tmp_path: Path) -> None:
    odd = tmp_path / "<script>&.mp3"
    odd.write_bytes(SONG.read_bytes())
    assert "&lt;script&gt;&amp;.mp3" in recognizer.recognize(odd)._repr_html_()


def test_a_timeline_is_a_sequence_of_moments(recognizer: leitmotif.Recognizer) -> None:
    answer = recognizer.recognize(SONG)
    timeline = answer.timeline
    assert len(timeline) == answer.segments == len(list(timeline))
    assert timeline.probabilities.shape == (answer.segments, len(recognizer.artists))
    assert timeline[-1].end_seconds == answer.used_seconds
    assert [moment.start_seconds for moment in timeline[1:3]] == timeline.start_seconds[1:3].tolist()
    assert np.allclose(timeline.probabilities.mean(axis=0), answer.uncalibrated, atol=1e-6)
    with pytest.raises(IndexError):
        timeline[answer.segments]


def test_answers_can_be_pickled(recognizer: leitmotif.Recognizer) -> None:
    answer = recognizer.recognize(SONG)
    assert pickle.loads(pickle.dumps(answer)).to_dict() == answer.to_dict()


def test_data_frames_need_pandas_alone(recognizer: leitmotif.Recognizer) -> None:
    answer = recognizer.recognize(SONG)
    if importlib.util.find_spec("pandas") is None:
        with pytest.raises(ImportError, match="pip install pandas"):
            answer.to_pandas()
        return
    assert answer.to_pandas()["artist"].tolist() == [artist.artist for artist in answer.artists]
    frame = answer.timeline.to_pandas()
    assert frame.shape == (answer.segments, len(recognizer.artists))
    assert list(frame.columns) == list(recognizer.artists)


def test_silence_of_a_calibrated_model_is_nobody() -> None:
    zoo = leitmotif.Recognizer(CHECKOUT / "models" / "zoo" / "game-music.clip.onnx", device="cpu")
    answer = zoo.recognize(CHECKOUT / "models" / "zoo" / "tt1.ogg")
    assert (answer.unknown, answer.artist) == (False, "Kenta Cho (ABA Games)")
    noise = zoo.recognize(np.zeros(160_000), rate=16_000)
    assert (noise.unknown, noise.artist) == (True, None)
    assert "none of these artists" in repr(noise) or "silent" in repr(noise)
