#!/usr/bin/env python3
"""check.py LEITMOTIF-EXPORT LEITMOTIF OUT: the folders of `compile --sidecar huggingface` in transformers.js and in Python's transformers.

Both heads of the demo (`make demo`; without it, those of the fixtures) answer for real songs, whole and cut where an LSTM's last window is
full, counts or does not. Prints the largest difference to `leitmotif recognize --json`, and fails where it is above the tolerance of fp32."""

import json
import math
import shutil
import subprocess
import sys
import wave
from array import array
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = ROOT / "scripts" / "hub"
sys.path[:0] = [str(ROOT / "scripts" / "compatibility"), str(ROOT / "scripts" / "shared")]
import setup  # noqa: E402
from checkpoint import LAST, is_checkpoint  # noqa: E402

TOLERANCE = 1e-5
SONGS = [
    "models/zoo/tt1.ogg",
    "runtime/tests/data/music/snodom.ogg",
    "demo/packages/ardentryst/usr/share/games/ardentryst/Music/castle2.ogg",
    "demo/packages/hedgewars-data/usr/share/games/hedgewars/Data/Music/City.ogg",
]
# Of each song; seconds. The demo's windows are 25 s.
LENGTHS = [None, 13, 27, 40]


def checkpoint(head):
    made = ROOT / "demo" / head / LAST
    if is_checkpoint(made):
        return made
    print(f"hub: left out: {made.relative_to(ROOT)} (make demo trains it): the fixture's network instead")
    return ROOT / "export" / "tests" / "data" / f"tiny-{head}"


def songs(out):
    """WAV files at 16 kHz, and the same samples as 32-bit floats."""
    made = []
    for song in (ROOT / song for song in SONGS):
        if not song.exists():
            print(f"hub: left out: {song.relative_to(ROOT)} (make demo fetches it)")
            continue
        for seconds in LENGTHS:
            path = out / f"{song.stem}-{seconds or 'whole'}.wav"
            limit = ["-t", str(seconds)] if seconds else []
            command = ["ffmpeg", "-v", "error", "-y", "-i", song, *limit, "-ac", "1", "-ar", "16000", "-c:a", "pcm_s16le", path]
            subprocess.run(command, check=True)
            with wave.open(str(path)) as file:
                samples = array("h", file.readframes(file.getnframes()))
            floats = path.with_suffix(".f32")
            floats.write_bytes(array("f", (sample / 32768 for sample in samples)).tobytes())
            made.append((path, floats))
    return made


def lines(*command):
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in found.splitlines()]


def main():
    export, leitmotif, out = sys.argv[1:]
    missing = [program for program in ("node", "npm", "ffmpeg") if not shutil.which(program)]
    if missing:
        sys.exit(f"hub: missing: {', '.join(missing)}; scripts/doctor names their packages")
    out = Path(out)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    deps = setup.folders(ROOT)["node"].parent.parent
    environment, node = deps / "hub", deps / "node" / "hub"
    setup.environment(environment, sys.executable, HERE / "requirements.txt")
    setup.packages(node, HERE)
    made = songs(out)
    floats = [str(floats) for _, floats in made]
    failed = False
    for head, graph in (("dense", "clip"), ("lstm", "sequence")):
        about = ["--license", "cc-by-sa-4.0", "--hub-dataset", "ann/game-music", "--author", "Ann", "--date", "2026-11-27"]
        command = [export, "compile", checkpoint(head), "--name", head, "--out", out, "--sidecar", "huggingface", *about]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        ours = []
        for path, _ in made:
            (answer,) = lines(leitmotif, "recognize", "--model", out / f"{head}.{graph}.onnx", "--json", "--top", "1000", path)
            ours.append({artist["artist"]: artist["probability"] for artist in answer["artists"]})
        theirs = {"transformers": lines(environment / "bin" / "python", HERE / "feature_extractor.py", out / head, *floats)}
        theirs["transformers.js"] = lines("node", HERE / "pipeline.mjs", node, out / head, *floats)
        for library, answers in theirs.items():
            if len(answers) != len(ours) or any(a.keys() != b.keys() for a, b in zip(ours, answers)):
                sys.exit(f"hub: {library} answers otherwise: {answers[:1]}")
            gap = max(abs(a[artist] - b[artist]) for a, b in zip(ours, answers) for artist in a)
            failed |= not (math.isfinite(gap) and gap <= TOLERANCE)
            print(f"hub: {head}, {library}: {len(ours)} recordings, largest difference of a probability {gap:.1e}")
    if failed:
        sys.exit(f"hub: a probability differs by more than {TOLERANCE:.0e}")


main()
