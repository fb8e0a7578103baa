"""Cells that cannot pass, and why. A cell that fails and is not listed here is a fault, and so is one that passes and is."""

# Each with a part of the runtime's message: a failure for another reason is a fault.
OPSET_13 = ("The file asks for opset 13, of 2020; this ONNX Runtime of 2019 knows 11", "INVALID_GRAPH")
EVALUATOR = ("onnx's reference evaluator has `DequantizeLinear` from opset 19 on, and int8 files are of opset 13", "DequantizeLinear' domain")
# Runtime, forms, operator that the file must have (None: any), and why.
KNOWN = [
    ("onnx-reference", {"precision": {"int8"}}, "DequantizeLinear", EVALUATOR),
    ("onnxruntime-3.6", {"target": {"cpu"}}, None, OPSET_13),
    ("onnxruntime-3.6", {"precision": {"int8"}}, None, OPSET_13),
]


def explanation(runtime, form, operators):
    """Why this runtime cannot run a file of this form with these operators, and a part of its message; None where it should run it."""
    for of, fits, operator, why in KNOWN:
        if of == runtime and (operator is None or operator in operators) and all(form[part] in values for part, values in fits.items()):
            return why
    return None
