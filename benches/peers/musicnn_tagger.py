"""A published music tagger as it is: musicnn's features of each clip and a logistic regression, on the clips and splits of a prepared data set.

    musicnn_tagger.py DATASET SPLIT...      after `scripts/setup tagger` (Python 3.11 to 3.13), with PYTHONPATH=.deps/tagger

Prints a line of JSON for each split: the shares of clips and songs of the test part that are right, a song by the mean of its clips' probabilities.
The network and its weights, MTT_musicnn, are those of the package `musicnn` (Pons and Serra, 2019), trained by its authors to tag MagnaTagATune; nothing of it
is trained here. A clip's features are the means over its patches of 187 frames (three seconds, one behind the other) of `mean_pool` and `max_pool`, 1,506
numbers in all, as probes of this network usually take them; standardised; C = 1.
"""

import json
import os
import sys
import warnings
from pathlib import Path

# musicnn is of TensorFlow 1, whose layers TensorFlow 2 has with its old Keras only.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
warnings.filterwarnings("ignore", "`tf.layers")

try:
    import librosa
    import musicnn
    import numpy as np
    import tensorflow.compat.v1 as tf
    from musicnn import configuration, models
except ImportError as error:
    raise SystemExit(f"{error}: `scripts/setup tagger` installs it")
from prepared import DataSet
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

MODEL, FRAMES = "MTT_musicnn", 187


def main(dataset, *splits):
    dataset = DataSet(Path(dataset))
    pooled = tagger()
    features = np.array([pooled(patches(waveform)).mean(axis=0) for waveform in dataset.waveforms()])
    for split in splits:
        train, test = dataset.split(split)
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000)).fit(features[train], dataset.truth[train])
        probabilities = np.zeros((len(test), len(dataset.artists)))
        probabilities[:, model.classes_] = model.predict_proba(features[test])
        print(json.dumps({"split": split, **dataset.shares(test, probabilities)}), flush=True)


def tagger():
    """A function from patches to their pooled features, `[patches, 1506]`."""
    tf.disable_eager_execution()
    patches = tf.placeholder(tf.float32, [None, FRAMES, configuration.N_MELS])
    # The checkpoint has the variables under this name.
    with tf.name_scope("model"):
        *_, mean, maximum, _ = models.define_model(patches, False, MODEL, len(configuration.MTT_LABELS))
    session = tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1))
    tf.train.Saver().restore(session, f"{Path(musicnn.__file__).parent / MODEL}/")
    return lambda of_clip: np.hstack(session.run([mean, maximum], {patches: of_clip}))


def patches(waveform):
    """As musicnn's own `batch_data` makes them of a file, `[patches, frames, bands]`, but in float32: in its float16 loud music becomes infinite."""
    bands = librosa.feature.melspectrogram(
        y=waveform,
        sr=configuration.SR,
        n_fft=configuration.FFT_SIZE,
        hop_length=configuration.FFT_HOP,
        n_mels=configuration.N_MELS,
        # The default when musicnn was trained.
        pad_mode="reflect",
    )
    whole = bands.shape[1] // FRAMES
    return np.log10(10_000 * bands.T[: whole * FRAMES] + 1).reshape(whole, FRAMES, -1)


if __name__ == "__main__":
    main(*sys.argv[1:])
