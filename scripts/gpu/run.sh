#!/usr/bin/env bash
# Measures leitmotif on a GPU box. Needs there: an NVIDIA driver for CUDA 13, a Python 3.11 or later with torch 2.11.0 (+cu130,
# its nvidia-* wheels beside it) and numpy. No Rust, no network, nothing installed.
#
#   tar -xJf gpu-bundle.tar.xz -C FOLDER && FOLDER/run.sh --minutes 5.5 --out RESULTS
#   …/run.sh --only smoke,train   some of: smoke, train, peers, serve, projection
#   …/run.sh --go-on              also after a failure in smoke, which otherwise ends the run
#   …/run.sh --cpu-small          the rehearsal: all steps on the CPU, small
#
# Results: RESULTS/STEP.json and profile.json, updated after every part, log.txt, run.json. A part that fails is recorded as
# {"error": …}, the others go on, and the exit code is 1; what does not fit into the minutes is left out by name. `--work` chooses
# another folder than FOLDER/work for 4 GB of synthetic clips and checkpoints.
#
# PYTHON names another Python than python3, ORT_DYLIB_PATH another ONNX Runtime than the bundle's, which has the code of one GPU
# generation (H100, H200) and is for measuring only.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}

torch=$("$python" -c 'import importlib.util as i; s = i.find_spec("torch"); print(s.submodule_search_locations[0] if s else "")')
[ -n "$torch" ] || { echo "$python has no torch: set PYTHON to one that has torch 2.11.0" >&2; exit 2; }
export TORCH_LIB=$torch/lib

# ONNX Runtime's CUDA provider finds CUDA and cuDNN only through the system loader; libtorch's own folder must come before the run
# path of the machine that built our programs.
export LD_LIBRARY_PATH=$TORCH_LIB:${torch%/*}/nvidia/cu13/lib:${torch%/*}/nvidia/cudnn/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
for library in "$here"/onnxruntime-gpu/libonnxruntime.so.*; do export ORT_DYLIB_PATH=${ORT_DYLIB_PATH:-$library}; done
# The provider's code that other networks need is blank; CUDA must not load it at the start.
export CUDA_MODULE_LOADING=LAZY

# File modes may have been lost on the way here.
chmod +x "$here"/bin/* 2>/dev/null || true
# Modules that are shared with other scripts, and the package safetensors.
export PYTHONPATH=$here/shared${PYTHONPATH:+:$PYTHONPATH}
# libtorch's threads would spin while they wait.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive} PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
exec "$python" "$here/measure" "$@"
