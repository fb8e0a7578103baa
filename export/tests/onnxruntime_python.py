"""Runs a compiled file with Python's onnx and onnxruntime, from the file alone.

    python3 onnxruntime_python.py MODEL.onnx

Runs onnx.checker (full check) and strict shape inference, makes the card's golden input from its recipe, runs it in
onnxruntime and prints one JSON object: the metadata keys, declared and inferred shapes of the outputs, and the outputs'
values. Fails where the golden answer is missed by more than the card's tolerance.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts" / "shared"))
from golden import golden_input  # noqa: E402


def shapes(values):
    dims = lambda value: value.type.tensor_type.shape.dim
    return {v.name: [d.dim_param or d.dim_value for d in dims(v)] for v in values}


def main(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    declared = shapes(model.graph.output)
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    for output in bare.graph.output:  # What inference finds by itself, not what the file claims.
        del output.type.tensor_type.shape.dim[:]
        output.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(bare, check_type=True, strict_mode=True, data_prop=True)

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    card = json.loads(metadata["leitmotif"])
    feeds = {"waveform": golden_input(**card["golden"]["input"])[None]}
    for state in session.get_inputs()[1:]:
        feeds[state.name] = np.zeros((1, card["embedding_units"]), np.float32)
    names = [output.name for output in session.get_outputs()]
    values = dict(zip(names, session.run(names, feeds)))

    golden = np.array(card["golden"]["probabilities"])
    difference = float(np.abs(values[metadata["class_outputs_key"]][0] - golden).max())
    if not difference <= card["golden"]["tolerance"]:
        sys.exit(f"the golden answer is missed by {difference}")
    print(json.dumps({
        "metadata": metadata,
        "classes": json.loads(metadata["classes"]),
        "declared": declared,
        "inferred": shapes(inferred.graph.output),
        "opset": model.opset_import[0].version,
        "ir": model.ir_version,
        "golden_difference": difference,
        "outputs": {name: {"shape": v.shape, "data": v.ravel().tolist()} for name, v in values.items()},
    }))


if __name__ == "__main__":
    main(sys.argv[1])
