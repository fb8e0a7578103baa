#!/usr/bin/env python3
"""check.py LEITMOTIF-EXPORT LEITMOTIF OUT: the programs of runtime/examples/use.

Each must pass its own `--check`, answer for songs as `leitmotif recognize --json` does, whole and cut where an LSTM's last window is full,
counts or does not, and refuse bad input with one line. Models are those of the demo (`make demo`; without it the fixtures') and of models/zoo."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
USE = ROOT / "runtime" / "examples" / "use"
sys.path[:0] = [str(ROOT / "scripts" / "shared")]
from checkpoint import LAST, is_checkpoint  # noqa: E402

# The programs print six decimals.
TOLERANCE = 1.1e-5
SONGS = ["models/zoo/tt1.ogg", "runtime/tests/data/music/snodom.ogg"]
# Of each song; seconds. The demo's windows are 25 s.
LENGTHS = [None, 13, 27]


def models(export, out):
    made = [ROOT / "models" / "zoo" / "game-music.clip.onnx"]
    for head, graph in (("dense", "clip"), ("lstm", "sequence")):
        checkpoint = ROOT / "demo" / head / LAST
        if not is_checkpoint(checkpoint):
            checkpoint = ROOT / "export" / "tests" / "data" / f"tiny-{head}"
        subprocess.run([export, "compile", checkpoint, "--name", head, "--out", out], check=True, stdout=subprocess.DEVNULL)
        made.append(out / f"{head}.{graph}.onnx")
    return made


def songs(out):
    for song in SONGS:
        for seconds in LENGTHS:
            path = out / f"{Path(song).stem}-{seconds or 'whole'}.wav"
            limit = ["-t", str(seconds)] if seconds else []
            command = ["ffmpeg", "-v", "error", "-y", "-i", ROOT / song, *limit, "-ac", "1", "-ar", "16000", "-c:a", "pcm_s16le", path]
            subprocess.run(command, check=True)
            yield path


def programs(out):
    """Each program's command, or why it is not run."""
    yield "Python", [sys.executable, USE / "python" / "recognize.py"]
    deps = Path(os.environ.get("LEITMOTIF_DEPS", ROOT / ".deps"))
    modules = deps / "node" / "compatibility" / "node_modules"
    if shutil.which("node") and modules.exists():
        # An import finds packages beside or above the program.
        shutil.copy(USE / "node" / "recognize.mjs", out)
        (out / "node_modules").symlink_to(modules.resolve())
        yield "JavaScript", ["node", out / "recognize.mjs"]
    else:
        yield "JavaScript", "there is no Node here, or no onnxruntime-node in .deps"
    home = Path(os.environ.get("ONNXRUNTIME_HOME", "/nowhere"))
    if (home / "include" / "onnxruntime_cxx_api.h").exists():
        binary = out / "recognize-cpp"
        flags = ["-std=c++17", "-O2", "-Wall", "-Wextra", "-I", home / "include", f"-L{home / 'lib'}", f"-Wl,-rpath,{home / 'lib'}"]
        subprocess.run(["g++", *flags, USE / "cpp" / "recognize.cpp", "-lonnxruntime", "-o", binary], check=True)
        yield "C++", [binary]
    else:
        yield "C++", "ONNXRUNTIME_HOME names no release of ONNX Runtime with its headers"
    if shutil.which("dotnet"):
        built = out / "csharp"
        subprocess.run(["dotnet", "publish", USE / "csharp", "--output", built, "--artifacts-path", out / "csharp-build"], check=True)
        yield "C#", ["dotnet", built / "recognize.dll"]
    else:
        yield "C#", "there is no dotnet here"


def run(command, *arguments):
    return subprocess.run([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def check(command, model, answers):
    """Problems of one program with one model, and the largest difference."""
    golden = run(command, model, "--check")
    problems = [] if golden.returncode == 0 and golden.stdout.startswith("passed") else [f"--check: {golden.stdout}{golden.stderr}"]
    largest = 0.0
    for song, (ours, unknown) in answers.items():
        found = run(command, model, song)
        lines = found.stdout.splitlines()
        said = lines[:1] == ["none of these artists"]
        theirs = {artist: float(p) for p, artist in (line.split("  ", 1) for line in lines[said:])}
        if found.returncode != 0 or theirs.keys() != ours.keys() or said != unknown:
            problems.append(f"{song.name}: {found.stdout}{found.stderr}")
            continue
        largest = max(largest, *(abs(ours[artist] - theirs[artist]) for artist in ours))
    if largest > TOLERANCE:
        problems.append(f"a probability differs by {largest:.1e}")
    return problems, largest


def refusals(command, model, out):
    """What a program does not refuse with one line."""
    other = out / "stereo.wav"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", ROOT / SONGS[0], "-t", "1", "-ac", "2", "-ar", "44100", other], check=True)
    short = out / "short.wav"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", other, "-t", "0.01", "-ac", "1", "-ar", "16000", short], check=True)
    no_model = ROOT / "README.md"
    for what, arguments, phrase in (
        ("another rate", (model, other), "ffmpeg"),
        ("a short recording", (model, short), "segment"),
        ("text for music", (model, no_model), "README.md"),
        ("no file", (model, out / "none.wav"), "none.wav"),
        ("text for a model", (no_model, short), "README.md"),
    ):
        found = run(command, *arguments)
        if found.returncode == 0 or found.stdout or phrase not in found.stderr or len(found.stderr.splitlines()) != 1:
            yield f"{what}: exit code {found.returncode}, {found.stdout}{found.stderr}"


def main():
    export, leitmotif, out = sys.argv[1:]
    out = Path(out)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    made, parts = models(export, out), list(songs(out))
    answers = {}
    for model in made:
        answers[model] = {}
        for song in parts:
            printed = run([leitmotif, "recognize", "--model", model, "--json", "--top", "1000", song]).stdout
            answer = json.loads(printed)
            ranking = {artist["artist"]: artist["probability"] for artist in answer["artists"]}
            answers[model][song] = ranking, bool(answer.get("unknown"))
    failed = False
    for language, command in programs(out):
        if isinstance(command, str):
            print(f"guides: {language}: not run, {command}")
            continue
        problems = [f"refusals: {problem}" for problem in refusals(command, made[0], out)]
        gaps = []
        for model in made:
            found, gap = check(command, model, answers[model])
            problems += [f"{model.name}: {problem}" for problem in found]
            gaps.append(gap)
        failed |= bool(problems)
        print(f"guides: {language}: {len(made)} models, {len(parts)} recordings, largest difference {max(gaps):.1e}", *problems, sep="\n  ")
    sys.exit(failed)


main()
