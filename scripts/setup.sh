#!/bin/sh
# Install what building and testing need (Debian 12 and its derivatives), then build.
# usage: setup.sh [CMake option...]     builds in ./build
set -eu
cd "$(dirname "$0")/.."

packages="cmake ninja-build gcc libc6-dev pkg-config
	libsqlite3-dev libjansson-dev libzstd-dev libxxhash-dev libsmartcols-dev libcmocka-dev
	zlib1g-dev libtracecmd-dev libtraceevent-dev libtracefs-dev libjs-chart.js
	sqlite3 zstd python3 trace-cmd spin protobuf-compiler"

missing=
for package in $packages; do
	dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q 'ok installed' ||
		missing="$missing $package"
done
if [ -n "$missing" ]; then
	root=
	[ "$(id -u)" = 0 ] || root=sudo
	echo "setup: installing$missing" >&2
	$root env DEBIAN_FRONTEND=noninteractive apt-get -qq update >&2
	# shellcheck disable=SC2086 # a list of words
	$root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
		$missing >/dev/null
fi

[ -f build/build.ninja ] || [ $# -gt 0 ] || set -- -DCMAKE_BUILD_TYPE=Release
cmake -S . -B build -G Ninja "$@" >/dev/null
ninja -C build --quiet
