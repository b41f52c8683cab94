#!/usr/bin/env bash
# Installs what a Debian 12 lacks to build and test Bittern: once, quietly. Does nothing when all is there.
set -euo pipefail
packages=(gcc g++ cmake ninja-build pkg-config python3 libdnnl-dev libopenblas-serial-dev liblapacke-dev
          libyaml-dev libpng-dev libjpeg62-turbo-dev libwebp-dev libtiff-dev libcairo2-dev libhdf5-dev zlib1g-dev libcurl4-openssl-dev libssl-dev libcmocka-dev libboost-context-dev "$@")
missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if ! command -v apt-get >/dev/null; then
    echo "setup: these packages are missing and this is no Debian: ${missing[*]}" >&2
    exit 1
fi
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "setup: installing ${missing[*]}"
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
if ! { "${as_root[@]}" apt-get update -qq && "${as_root[@]}" apt-get install -o DPkg::Lock::Timeout=300 -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "setup: the installation failed; the whole log is $log" >&2
    exit 1
fi
rm -f "$log"
