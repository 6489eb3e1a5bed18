#!/bin/sh
# Set up, build and run every test. usage: test.sh [ctest option...]
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh
exec ctest --test-dir build --output-on-failure -j2 --timeout 600 "$@"
