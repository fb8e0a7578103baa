"""Runs jobs (cases.py) in Python's onnxruntime; also on Python 3.6. One JSON object a line for each job."""

import json
import sys

import numpy as np
import onnxruntime


def answers(job):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(job["model"], options, providers=["CPUExecutionProvider"])
    except TypeError:  # Before providers could be named.
        session = onnxruntime.InferenceSession(job["model"], options)
    names, before, found = job["outputs"], {}, []
    for call in job["calls"]:
        feeds = {name: np.fromfile(feed["file"], "<f4").reshape(feed["dims"]) for name, feed in call["feeds"].items()}
        feeds.update({name: before[output] for name, output in call["carry"].items()})
        before = dict(zip(names, session.run(names, feeds)))
        found.append({"dims": before["probabilities"].shape, "data": before["probabilities"].ravel().tolist()})
    return found


for job in json.load(open(sys.argv[1])):
    try:
        result = {"answers": answers(job)}
    except Exception as error:  # Any failure is this cell's reason.
        result = {"error": str(error).strip().splitlines()[0]}
    print(json.dumps(result), flush=True)
