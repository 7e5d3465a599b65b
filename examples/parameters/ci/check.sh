#!/usr/bin/env bash
# What a CI runs in the folder above: the schema is fresh, and the files fit.
set -euo pipefail
cd "$(dirname "$0")/.."
ann-ckpt params schema --model network.py:network -o network.schema.json --check
ann-ckpt params validate --config ci/ann-ckpt.toml
