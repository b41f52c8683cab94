#!/usr/bin/env bash
# From nothing to measured codes: installs what is missing, builds, generates pictures, trains an encoder, adapts it with CroVCA, scores.
#   ./quickstart.sh
set -euo pipefail
cd "$(dirname "$0")"
start=$SECONDS
./setup.sh
mkdir -p build/logs build/quickstart
echo "== build (log: build/logs/quickstart.build)"
cmake --preset release -B build/quickstart/build -DBITTERN_CUDA=OFF -DBITTERN_TESTS=OFF >build/logs/quickstart.build 2>&1 &&
    cmake --build build/quickstart/build -j "$(nproc)" >>build/logs/quickstart.build 2>&1 || { tail -n 30 build/logs/quickstart.build; exit 1; }
bittern=build/quickstart/build/bittern
rm -rf build/quickstart/pictures runs/quickstart
echo "== pictures"
$bittern demo build/quickstart/pictures --per-class 130
echo "== stage 1: an encoder by cross entropy"
$bittern train experiments/quickstart/1_encoder.yaml
echo "== stage 2: 32-bit codes by CroVCA with LoRA"
$bittern train experiments/quickstart/2_codes.yaml
echo "== scores (mAP@100 on 60 queries, 360 items that no training saw)"
report=runs/quickstart/report.txt
{
    echo "random weights:    $($bittern eval runs/quickstart/encoder --untrained | head -n 1)"
    echo "encoder (stage 1): $($bittern eval runs/quickstart/encoder | head -n 1)"
    echo "codes (stage 2):   $($bittern eval runs/quickstart/codes | head -n 1)"
} | tee "$report"
echo "report: $report; runs: runs/quickstart/encoder, runs/quickstart/codes; $((SECONDS - start)) s"
