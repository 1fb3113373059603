#!/usr/bin/env bash
# Writes requirements.txt and requirements-dev.txt anew from their .in files, for Python 3.11 to 3.14, with hashes.
# Versions that still fit are kept; `scripts/refresh-pins.sh --upgrade` takes the newest. Needs uv (pip install uv).
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
compile=(uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links
    --custom-compile-command scripts/refresh-pins.sh --quiet)
"${compile[@]}" "$@" requirements.in --output-file requirements.txt
"${compile[@]}" "$@" requirements-dev.in --constraint requirements.txt --output-file requirements-dev.txt
