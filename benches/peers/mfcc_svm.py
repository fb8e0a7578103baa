"""What one would try first: MFCC statistics of each clip and an RBF support vector machine, on the clips and splits of a prepared data set.

    mfcc_svm.py DATASET SPLIT...      after `make peers`, with PYTHONPATH=.deps/site-packages:.deps/peers

Prints a line of JSON for each split: the shares of clips and songs of the test part that are right, a song by the sum of its clips' votes. Twenty coefficients
of frames of 1,024 samples every 512: mean and deviation of each, and the deviation of its differences; standardised; C = 10, gamma = "scale".
"""

import collections
import json
import sys
from pathlib import Path

import librosa
import numpy as np
from prepared import DataSet
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

RATE = 16_000


def main(dataset, *splits):
    dataset = DataSet(Path(dataset))
    features = np.array([statistics(waveform) for waveform in dataset.waveforms()])
    for split in splits:
        train, test = dataset.split(split)
        model = make_pipeline(StandardScaler(), SVC(C=10, gamma="scale")).fit(features[train], dataset.truth[train])
        answers = model.predict(features[test])
        # A song by the votes of its clips; of as many the first.
        songs = collections.defaultdict(collections.Counter)
        for index, answer in zip(test, answers):
            songs[dataset.truth[index], dataset.clips[index]["song"]][answer] += 1
        right = [votes.most_common(1)[0][0] == artist for (artist, _), votes in songs.items()]
        print(json.dumps({"split": split, "clips": float(np.mean(answers == dataset.truth[test])), "songs": float(np.mean(right))}), flush=True)


def statistics(waveform):
    mfcc = librosa.feature.mfcc(y=waveform, sr=RATE, n_mfcc=20, n_fft=1024, hop_length=512)
    return np.concatenate([mfcc.mean(axis=1), mfcc.std(axis=1), np.diff(mfcc).std(axis=1)])


if __name__ == "__main__":
    main(*sys.argv[1:])
