#!/bin/sh
# Build the wheel, with its browser files, and install it and what constraints.txt holds into a folder.
# From the project's folder: sh deploy/image/build.sh /opt/strike
set -eu
target=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# uv checks every hash of constraints.txt; its own is checked by pip.
awk '/^uv==/ { found = 1 } found { print } found && !/\\$/ { exit }' constraints.txt >"$work/uv.txt"
python3 -m venv "$work/tools"
"$work/tools/bin/pip" install --quiet --no-cache-dir --require-hashes -r "$work/uv.txt"
uv="$work/tools/bin/uv"

"$uv" build --quiet --wheel --build-constraints constraints.txt --out-dir "$work/wheel" .
"$uv" venv --quiet --python "$(command -v python3)" "$target"
wheel=$(echo "$work"/wheel/*.whl)
"$uv" pip install --quiet --python "$target/bin/python" --constraints constraints.txt \
    "osprey-strike[jetstream,kms,mcp] @ file://$wheel"
