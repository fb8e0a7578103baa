"""Reads a prepared data set: its lists and the samples of its clips; and scores answers to them."""

import collections
import csv

import numpy as np


class DataSet:
    """`clips`, the rows of the list; `artists` by name; `truth`, the number of each clip's artist."""

    def __init__(self, folder):
        self.folder = folder
        self.clips = rows(folder / "clips.csv")
        self.artists = sorted({clip["artist"] for clip in self.clips})
        self.truth = np.array([self.artists.index(clip["artist"]) for clip in self.clips])

    def waveforms(self):
        """The samples of each clip in ±1."""
        return (samples(self.folder, clip) for clip in self.clips)

    def split(self, name):
        """Numbers of the clips of the training part and of the test part."""
        parts = {row["clip"]: row["part"] for row in rows(self.folder / "splits" / f"{name}.csv")}
        part = np.array([parts.get(clip["clip"], "") for clip in self.clips])
        return np.flatnonzero(part == "train"), np.flatnonzero(part == "test")

    def shares(self, test, probabilities):
        """The shares of the clips `test` and of their songs that are right, a song by the sum of its clips' `probabilities`."""
        songs = collections.defaultdict(list)
        for index, of_clip in zip(test, probabilities):
            songs[self.truth[index], self.clips[index]["song"]].append(of_clip)
        songs_right = [np.sum(of_song, axis=0).argmax() == artist for (artist, _), of_song in songs.items()]
        clips_right = np.argmax(probabilities, axis=1) == self.truth[test]
        return {"clips": float(np.mean(clips_right)), "songs": float(np.mean(songs_right))}


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def samples(folder, clip):
    shard = np.memmap(folder / "shards" / f"{int(clip['shard']):05d}.pcm", dtype="<i2", mode="r")
    start = int(clip["offset"])
    return shard[start : start + int(clip["samples"])].astype(np.float32) / 32768
