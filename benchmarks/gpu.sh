#!/usr/bin/env bash
# Measure what a GPU gains, one part a process, so that a part that fails, hangs or is cut off costs no other:
#
#     bash benchmarks/gpu.sh OUT [PART ...]      # writes OUT/gpu.json; parts: see gpu.py
#
# MODELS: bird-photo, bird-classic and lite2-*.onnx (formats.py writes those). PHOTOS: holds Caltech-101.
# LIMIT: seconds a part may take. To try it where there is no GPU: PROVIDER=cpu TINY=1 bash benchmarks/gpu.sh OUT
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:?where to}
shift
mkdir -p "$out"
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(about photos scores networks pipelines commands embeddings)
options=(--to "$out/gpu.json" --models "${MODELS:-.gpu/models}" --photos "${PHOTOS:-.data}")
options+=(--work "${WORK:-.bench/gpu}" --provider "${PROVIDER:-cuda}")
[ -z "${TINY:-}" ] || options+=(--tiny)
export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
for part in "${parts[@]}"; do
    begun=$(date +%s)
    timeout "${LIMIT:-600}" "${PYTHON:-python3}" -m benchmarks.gpu "$part" "${options[@]}" 2>&1
    echo "== $part: code $?, $(($(date +%s) - begun)) s"
done
