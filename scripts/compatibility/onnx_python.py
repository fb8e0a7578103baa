"""Runs jobs (cases.py) with Python's onnx: `check`, the full check and strict shape inference, or `evaluate`, its reference
evaluator. One JSON object a line for each job."""

import json
import sys

import numpy as np
import onnx
import onnx.reference


def check(job):
    model = onnx.load(job["model"])
    onnx.checker.check_model(model, full_check=True)
    declared = {output.name: len(output.type.tensor_type.shape.dim) for output in model.graph.output}
    for output in model.graph.output:  # So that inference finds the shapes by itself.
        output.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    found = {output.name: len(output.type.tensor_type.shape.dim) for output in inferred.graph.output}
    return {"passes": True} if found == declared else {"error": f"axes of outputs are inferred as {found}, not {declared}"}


def evaluate(job):
    session, before, found = onnx.reference.ReferenceEvaluator(job["model"]), {}, []
    for call in job["calls"]:
        feeds = {name: np.fromfile(feed["file"], "<f4").reshape(feed["dims"]) for name, feed in call["feeds"].items()}
        feeds.update({name: before[output] for name, output in call["carry"].items()})
        before = dict(zip(job["outputs"], session.run(job["outputs"], feeds)))
        found.append({"dims": before["probabilities"].shape, "data": before["probabilities"].ravel().tolist()})
    return {"answers": found}


for job in json.load(open(sys.argv[2])):
    try:
        result = {"check": check, "evaluate": evaluate}[sys.argv[1]](job)
    except Exception as error:  # Any failure is this cell's reason.
        result = {"error": f"{type(error).__name__}: {error}".strip().splitlines()[0]}
    print(json.dumps(result), flush=True)
