#!/usr/bin/env bash
# On a machine with an NVIDIA card: the parts that need one, in 12 minutes at most, written to FILE. Take FILE to the
# checkout that keeps the figures: python -m benchmarks page --add FILE
set -euo pipefail
file=${1:?"usage: benchmarks/gpu.sh FILE [DATA]"} data=${2:-.}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for part in gpu-networks gpu-index; do
    timeout 350 "${PYTHON:-python3}" -m benchmarks "$part" --busy --file "$file" --data "$data" --work "$work" ||
        echo "$part: not measured" >&2
done
