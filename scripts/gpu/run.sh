#!/usr/bin/env bash
# Measures leitmotif on a GPU box. Needs there: an NVIDIA driver for CUDA 13, a Python 3.11 or later with torch 2.11.0 (+cu130,
# its nvidia-* wheels beside it) and numpy. No Rust, no network, nothing installed.
#
#   ./run.sh                     everything, within ten minutes
#   ./run.sh --only train,peer   some of: box, train, peer, export, serve, projection
#   ./run.sh --minutes 9         in less; what does not fit is left out by name
#   ./run.sh --cpu-small         the rehearsal: all steps on the CPU, small
#
# Results: results/STEP.json, updated after every part, results/log.txt, results/run.json last. A part that fails is recorded as
# {"error": …}, the others go on, and the exit code is 1. `--out` and `--work` choose other folders: the latter holds up to 24 GB of
# synthetic clips.
#
# ONNX Runtime with CUDA is not in the bundle: have the wheel onnxruntime-gpu in that Python, or unpacked beside this file in
# onnxruntime-gpu/, or set ORT_DYLIB_PATH to its libonnxruntime.so. PYTHON names another Python than python3.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}

folder_of() { "$python" -c 'import importlib.util as i, sys; s = i.find_spec(sys.argv[1]); print(s.submodule_search_locations[0] if s else "")' "$1"; }
torch=$(folder_of torch)
[ -n "$torch" ] || { echo "$python has no torch: set PYTHON to one that has torch 2.11.0" >&2; exit 2; }
export TORCH_LIB=$torch/lib

# ONNX Runtime's CUDA provider finds CUDA and cuDNN only through the system loader; libtorch's own folder must come before the run
# path of the machine that built our programs.
export LD_LIBRARY_PATH=$TORCH_LIB:${torch%/*}/nvidia/cu13/lib:${torch%/*}/nvidia/cudnn/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

if [ -z "${ORT_DYLIB_PATH:-}" ]; then
    package=$(folder_of onnxruntime)
    for capi in "$here/onnxruntime-gpu/onnxruntime/capi" "${package:-/nowhere}/capi"; do
        for library in "$capi"/libonnxruntime.so.*; do
            [ -z "${ORT_DYLIB_PATH:-}" ] && [ -e "$library" ] && export ORT_DYLIB_PATH=$library
        done
    done
fi
[ -n "${ORT_DYLIB_PATH:-}" ] || echo "no ONNX Runtime found: steps export and serve will fail" >&2

# File modes may have been lost on the way here.
chmod +x "$here"/bin/* 2>/dev/null || true
# Modules that are shared with other scripts, and the package safetensors.
export PYTHONPATH=$here/shared${PYTHONPATH:+:$PYTHONPATH}
# libtorch's threads would spin while they wait.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive} PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
exec "$python" "$here/measure" "$@"
