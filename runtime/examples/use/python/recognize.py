#!/usr/bin/env python3
"""Names the artist of a recording with a file of leitmotif-export and onnxruntime alone.

    pip install onnxruntime
    python3 recognize.py MODEL.onnx SONG.wav     16-bit mono at 16 kHz; MODEL.clip.onnx or MODEL.sequence.onnx
    python3 recognize.py MODEL.onnx --check      does this program compute what the trainer did?
"""

import json
import sys
import wave

import numpy as np
import onnxruntime

SILENCE = 1e-4


def read_wav(path, rate):
    """Samples in [-1, 1]."""
    try:
        with wave.open(path) as song:
            found = (song.getframerate(), song.getnchannels(), song.getsampwidth())
            if found != (rate, 1, 2):
                convert = f"ffmpeg -i SONG -ac 1 -af aresample={rate}:filter_size=128:cutoff=0.99 -c:a pcm_s16le SONG.wav"
                sys.exit(f"{path}: not 16-bit mono at {rate} Hz; convert it: {convert}")
            return np.frombuffer(song.readframes(song.getnframes()), "<i2").astype(np.float32) / 32768
    except (OSError, EOFError, wave.Error) as error:
        sys.exit(f"{path}: {error}")


def golden_input(seed, samples):
    """The noise that a card describes by a seed and a length."""
    state, values = seed, np.empty(samples, np.float32)
    for i in range(samples):
        state = (1664525 * state + 1013904223) % 2**32
        values[i] = 0.1 * (state - 2**32 if state >= 2**31 else state) / 2**31
    return values


def calls(card, segments):
    """The segments of each call, as ranges: of an LSTM a window, of a dense head as many as fit into memory."""
    hop, length, window = card["hop_samples"], card["segment_samples"], card["window_segments"]
    is_lstm = card["graph"] == "sequence"
    most = int(card["max_seconds_per_call"] * card["sample_rate"])
    step = window if is_lstm else max(1, (most - length) // hop + 1)
    for start in range(0, segments, step):
        end = min(start + step, segments)
        # A window that is not half full counts only if it is the only one.
        if not is_lstm or start == 0 or 2 * (end - start) >= window:
            yield start, end


def recognize(session, card, samples):
    """The network's own probabilities of the artists, and its certainty."""
    hop, length = card["hop_samples"], card["segment_samples"]
    if len(samples) < length:
        sys.exit(f"{len(samples)} samples are less than one segment of {length}")
    rows = []
    for start, end in calls(card, (len(samples) - length) // hop + 1):
        part = samples[start * hop : (end - 1) * hop + length]
        output = "probabilities" if card["graph"] == "sequence" else "segment_probabilities"
        rows.extend(session.run([output], {"waveform": part[None]})[0].reshape(-1, len(card["classes"])))
    rows = np.array(rows, np.float64)
    return rows.mean(axis=0), rows.max(axis=1).mean()


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    model, song = sys.argv[1:]
    try:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    except Exception as error:
        sys.exit(f"{model}: {error}")
    card = json.loads(session.get_modelmeta().custom_metadata_map.get("leitmotif", "{}"))
    if card.get("graph") not in ("clip", "sequence") or card.get("embedding_only") or card.get("huggingface") or card.get("fixed"):
        sys.exit(f"{model}: no clip or sequence graph of leitmotif-export that takes recordings of any length")

    if song == "--check":
        golden = card["golden"]
        found, _ = recognize(session, card, golden_input(golden["input"]["seed"], golden["input"]["samples"]))
        gap = np.abs(found - golden["probabilities"]).max()
        verdict = "passed" if gap <= golden["tolerance"] else "failed"
        print(f"{verdict}: largest difference to the golden answer {gap:.1e}, {golden['tolerance']:.0e} is allowed")
        sys.exit(verdict == "failed")

    samples = read_wav(song, card["sample_rate"])
    probabilities, certainty = recognize(session, card, samples)
    if confidence := card.get("confidence"):
        powers = (probabilities / probabilities.max()) ** (1 / confidence["temperature"])
        probabilities = powers / powers.sum()
        if certainty < confidence["threshold"] or np.abs(samples).max() < SILENCE:
            print("none of these artists")
    for artist in np.argsort(-probabilities, kind="stable"):
        print(f"{probabilities[artist]:.6f}  {card['classes'][artist]}")


main()
