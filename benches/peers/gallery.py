#!/usr/bin/env python3
"""New artists without training: how often a gallery of a few songs names the right artist, and how many strangers pass.

leitmotif recognize --json --threads 1 --model MODEL SONGS… > rows.jsonl
gallery.py rows.jsonl DATASET/clips.csv result.json [--without PACKAGE…]

Songs are drawn at random to be enrolled, the others of the same artists are recognised; repeated. `centroid` is what the
crate's `Gallery` does. Songs below a folder PACKAGE are left out: the network was trained on them.
"""

import argparse
import collections
import csv
import json
import pathlib

import numpy as np

DRAWS = 200
KEEP = 0.8
FEWEST_SONGS = 10


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def similarities(method, enrolled, artists, songs):
    """Of each song to each artist, in the order of their names."""
    columns = []
    for artist in sorted(set(artists)):
        own = enrolled[artists == artist]
        if method == "centroid":
            columns.append(songs @ unit(own.sum(axis=0)))
        else:
            nearest = int(method.removeprefix("nearest "))
            columns.append(np.sort(songs @ own.T, axis=1)[:, -nearest:].mean(axis=1))
    return np.stack(columns, axis=1)


def threshold(method, enrolled, artists):
    """The similarity that 80 % of the enrolled songs reach, each compared with the gallery without it."""
    left_out = []
    for song in range(len(enrolled)):
        if np.sum(artists == artists[song]) > 1:
            others = np.arange(len(enrolled)) != song
            left_out.append(similarities(method, enrolled[others], artists[others], enrolled[song : song + 1]).max())
    if len(left_out) < FEWEST_SONGS:
        return None
    return sorted(left_out)[::-1][int(np.ceil(KEEP * len(left_out))) - 1]


def measure(method, embeddings, artists, games, enrol):
    """The shares over all draws, and the number of right songs of each draw."""
    random = np.random.default_rng(1)
    songs = collections.Counter(artists.tolist())
    names = np.array(sorted(artist for artist, count in songs.items() if count > enrol))
    right, same_game, kept, kept_right, accepted, accepted_at_80 = [], [], [], [], [], []
    for _ in range(DRAWS):
        orders = {name: random.permutation(np.flatnonzero(artists == name)) for name in names}
        known = set(random.permutation(names)[: len(names) // 2].tolist())
        enrolled = np.concatenate([order[:enrol] for order in orders.values()])
        asked = np.concatenate([order[enrol:] for order in orders.values()])
        found = similarities(method, embeddings[enrolled], artists[enrolled], embeddings[asked])
        answers = names[found.argmax(axis=1)]
        right.append(int(np.sum(answers == artists[asked])))
        game_of = {name: set(games[artists == name].tolist()) for name in names}
        same_game.append(np.mean([game in game_of[answer] for answer, game in zip(answers, games[asked])]))
        # Half of the artists are enrolled, the other half are strangers.
        enrolled = np.array([song for song in enrolled if artists[song] in known])
        is_known = np.array([artists[song] in known for song in asked])
        found = similarities(method, embeddings[enrolled], artists[enrolled], embeddings[asked])
        best = found.max(axis=1)
        of_known = np.array(sorted(known))[found.argmax(axis=1)] == artists[asked]
        accepted_at_80.append(np.mean(best[~is_known] >= np.quantile(best[is_known], 1 - KEEP)))
        least = threshold(method, embeddings[enrolled], artists[enrolled])
        if least is not None:
            passes = best >= least
            kept.append(np.mean(passes[is_known]))
            kept_right.append(np.mean((passes & of_known)[is_known]))
            accepted.append(np.mean(passes[~is_known]))
    asked = {name: songs[name] - enrol for name in names}
    share = np.array(right) / len(answers)

    def mean(values):
        return round(float(np.mean(values)), 4) if values else None

    return {
        "method": method,
        "enrolled_songs_of_each": enrol,
        "artists": len(names),
        "songs": len(answers),
        "chance": round(1 / len(names), 4),
        "largest_artist": round(max(asked.values()) / len(answers), 4),
        "right": mean(share.tolist()),
        "right_5_to_95_percent_of_draws": np.round(np.quantile(share, [0.05, 0.95]), 4).tolist(),
        "an_artist_of_the_same_game": mean(same_game),
        "half_of_the_artists_enrolled": {
            "strangers_accepted_where_80_percent_are_kept": mean(accepted_at_80),
            "fitted_threshold": {"kept": mean(kept), "kept_and_right": mean(kept_right), "strangers_accepted": mean(accepted)},
        },
        "right_songs_of_each_draw": right,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=pathlib.Path)
    parser.add_argument("clips", type=pathlib.Path)
    parser.add_argument("result", type=pathlib.Path)
    parser.add_argument("--without", nargs="*", default=[], metavar="PACKAGE")
    options = parser.parse_args()
    with open(options.clips, encoding="utf-8", newline="") as file:
        labels = {clip["source"]: (clip["artist"], clip["album"]) for clip in csv.DictReader(file)}
    rows = [json.loads(line) for line in options.rows.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if "embedding" in row and not set(options.without) & set(pathlib.Path(row["file"]).parts)]
    embeddings = unit(np.array([row["embedding"] for row in rows]))
    artists, games = np.array([labels[row["file"]] for row in rows]).T
    named = np.array([not artist.startswith("untagged") for artist in artists])
    cases = {"named artists": named, "with untagged packages as artists": np.ones(len(rows), bool)}
    result = {"songs_with_an_answer": len(rows), "draws": DRAWS, "cases": []}
    for name, mask in cases.items():
        for enrol in (1, 3, 5):
            for method in ("centroid", "nearest 1", "nearest 3"):
                row = measure(method, embeddings[mask], artists[mask], games[mask], enrol)
                result["cases"].append({"music": name, **row})
                print(name, {key: value for key, value in row.items() if key != "right_songs_of_each_draw"})
    lines = [json.dumps(case) for case in result.pop("cases")]
    head = json.dumps(result, indent=1).removesuffix("\n}")
    options.result.write_text(head + ',\n "cases": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n", encoding="utf-8")


main()
