#!/usr/bin/env python3
"""feature_extractor.py FOLDER SAMPLES…: what transformers' feature extractor and onnxruntime answer for each file of 32-bit floats, one JSON
object a line, {label: probability}. Before that it checks the folder's model card and configuration as the Hub's own library reads them."""

import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
from huggingface_hub import ModelCard  # noqa: E402
from transformers import AutoConfig, AutoFeatureExtractor  # noqa: E402

folder, *files = sys.argv[1:]
folder = Path(folder)
card = ModelCard.load(folder / "README.md").data
expected = {"library_name": "transformers.js", "pipeline_tag": "audio-classification", "license": "cc-by-sa-4.0", "datasets": ["ann/game-music"]}
found = {key: getattr(card, key) for key in expected}
if found != expected:
    sys.exit(f"the model card says {found}")
if "leitmotif" not in card.tags:
    sys.exit(f"the model card has the tags {card.tags}")
for result in card.eval_results or []:
    print(f"{folder.name}: {result.metric_name} {result.metric_value} on {result.dataset_name}", file=sys.stderr)

model = next((folder / "onnx").glob("model*.onnx"))
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
labels = AutoConfig.from_pretrained(folder).id2label
if [labels[artist] for artist in range(len(classes))] != classes:
    sys.exit(f"id2label is {labels}")
extractor = AutoFeatureExtractor.from_pretrained(folder)
for file in files:
    samples = np.fromfile(file, np.float32)
    feeds = extractor(samples, sampling_rate=16000, return_tensors="np")
    (logits,) = session.run(["logits"], {"input_values": feeds["input_values"]})
    powers = np.exp(logits[0].astype(np.float64) - logits.max())
    print(json.dumps(dict(zip(classes, (powers / powers.sum()).tolist()))))
