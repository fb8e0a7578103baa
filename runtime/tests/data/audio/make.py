#!/usr/bin/env python3
"""Makes the audio fixtures of this folder: python3 make.py (needs lame, ffmpeg with libmp3lame, libvorbis,
libopus).

The signal is a formula, written a second time in ../../audio.rs: two seconds of stereo below 7 kHz, so that its
samples at any rate are known exactly and no fixture needs a reference file.
Made with ffmpeg 5.1.9 and LAME 3.100 (Debian 12).
"""

import math
import pathlib
import struct
import subprocess
import wave

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = 2.0


def frame(t):
    """Left and right at the time t, in full scales."""
    fade = max(0.0, min(1.0, t / 0.05, (SECONDS - t) / 0.05))
    left = 0.30 * math.sin(2 * math.pi * (200 * t + 700 * t * t)) + 0.15 * math.sin(2 * math.pi * 440 * t)
    right = 0.25 * math.sin(2 * math.pi * 330 * t + 1) + 0.15 * math.sin(2 * math.pi * 1250 * t)
    return fade * left, fade * right


def source(rate, channels):
    """A 32-bit WAV of the signal; one channel is the mean, six are left and right three times."""
    path = HERE / f"source-{rate}-{channels}.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(4)
        out.setframerate(rate)
        for n in range(round(SECONDS * rate)):
            left, right = frame(n / rate)
            values = [(left + right) / 2] if channels == 1 else [left, right] * (channels // 2)
            out.writeframesraw(struct.pack(f"<{channels}i", *(round(v * (2**31 - 1)) for v in values)))
    return path


# name, rate, channels, encoder options
FIXTURES = [
    ("cbr.mp3", 44100, 2, "-c:a libmp3lame -b:a 128k"),
    ("vbr.mp3", 48000, 2, "-c:a libmp3lame -q:a 2"),
    ("no-tag.mp3", 44100, 2, "-c:a libmp3lame -b:a 128k -write_xing 0 -id3v2_version 0"),
    ("mpeg2.mp3", 22050, 1, "-c:a libmp3lame -b:a 64k"),
    ("mtat.mp3", 16000, 1, "-c:a libmp3lame -b:a 32k"),
    ("stereo.ogg", 44100, 2, "-c:a libvorbis -q:a 6"),
    ("mono.ogg", 22050, 1, "-c:a libvorbis -q:a 6"),
    ("s16.flac", 44100, 2, "-c:a flac -sample_fmt s16"),
    ("s24.flac", 48000, 1, "-c:a flac -sample_fmt s32 -bits_per_raw_sample 24"),
    ("flac.oga", 16000, 1, "-c:a flac -sample_fmt s16 -f ogg"),
    ("s16.aiff", 16000, 1, "-c:a pcm_s16be"),
    ("lc.m4a", 44100, 2, "-c:a aac -b:a 160k"),
    ("lc.aac", 44100, 2, "-c:a aac -b:a 160k -f adts"),
    ("lossless.m4a", 22050, 1, "-c:a alac -sample_fmt s16p"),
    ("stereo.opus", 48000, 2, "-c:a libopus -b:a 128k"),
    ("mono.opus", 48000, 1, "-c:a libopus -b:a 96k"),
    ("speech.opus", 48000, 1, "-c:a libopus -b:a 20k -application voip -frame_duration 60"),
    ("surround.opus", 48000, 6, "-c:a libopus -b:a 256k -mapping_family 1"),
    ("ac3.mp4", 44100, 2, "-c:a ac3 -b:a 128k"),
]


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


def joint_stereo(path):
    """Middle and side with different block types, which no encoder chooses: encoded as dual mono, then called joint.

    Clicks make short blocks of the side, which is not in the mean of left and right.
    """
    samples = []
    for n in range(round(SECONDS * 44100)):
        left, right = frame(n / 44100)
        click = 0.1 * math.exp(-(n % 4410) / 20) if 10000 < n < 80000 else 0
        samples += [(left + right) / math.sqrt(2), (left - right) / math.sqrt(2) + click]
    pcm = struct.pack(f"<{len(samples)}h", *(round(value * 32767) for value in samples))
    subprocess.run("lame --quiet -r -s 44.1 -m d -b 192 --resample 44.1 -".split() + [path], input=pcm, check=True)
    data = bytearray(path.read_bytes())
    # The first frame holds LAME's tag; 192 kbit/s are 626 bytes, and one more where a frame says so.
    at = 0
    while at < len(data):
        size = 626 + (data[at + 2] >> 1 & 1)
        if at:
            data[at + 3] = data[at + 3] & 0x0F | 0x60
        at += size
    path.write_bytes(data)


def main():
    for name, rate, channels, options in FIXTURES:
        wav = source(rate, channels)
        exact = "-fflags +bitexact -flags:a +bitexact -map_metadata -1".split()
        ffmpeg("-i", wav, *options.split(), *exact, HERE / name)
        wav.unlink()
    joint_stereo(HERE / "joint-stereo.mp3")
    # A cover picture, as in most purchased music.
    ffmpeg("-i", HERE / "cbr.mp3", "-f", "lavfi", "-i", "color=red:size=64x64:duration=1:rate=1", "-map", "0:a",
           "-map", "1:v", "-c:a", "copy", "-c:v", "png", "-frames:v", "1", "-disposition:v", "attached_pic",
           "-fflags", "+bitexact", HERE / "cover.mp3")
    ffmpeg("-f", "lavfi", "-i", "color=red:size=64x64:duration=1:rate=1", "-c:v", "mpeg4", "-fflags", "+bitexact",
           HERE / "picture-only.mp4")


if __name__ == "__main__":
    main()
