#!/usr/bin/env bash
# Runs what packaging/bittern.def does, in two chroots made by debootstrap, where there is no Apptainer: %files, %post, %environment and %test
# of both stages are taken from the recipe itself. Needs root, debootstrap and Debian's package servers; a quarter of an hour, 1.5 GB.
#   tests/packaging/apptainer_steps.sh FOLDER      a folder that does not exist yet
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=${1:?apptainer_steps.sh needs a folder to work in}
recipe=$root/packaging/bittern.def
[ "$(id -u)" -eq 0 ] || { echo "apptainer_steps: chroot needs root"; exit 1; }
mkdir "$work" && cd "$work"

section() { # stage, section: its lines
    awk -v stage="$1" -v wanted="%$2" '/^Bootstrap:/ { now = ""; inside = 0 } /^Stage:/ { now = $2 } /^%/ { inside = (now == stage && index($0, wanted) == 1); next } inside' "$recipe"
}
debootstrap --variant=minbase bookworm plain >debootstrap.log 2>&1 || { tail -n 5 debootstrap.log; exit 1; }
cp /etc/apt/sources.list plain/etc/apt/ 2>/dev/null || true
[ -d /etc/apt/sources.list.d ] && cp /etc/apt/sources.list.d/debian.sources plain/etc/apt/sources.list.d/ 2>/dev/null || true
cp -L /etc/resolv.conf plain/etc/resolv.conf
cp -a plain build && mv plain final

echo "== stage build"
section build files | while read -r from to; do
    [ -n "$from" ] || continue
    mkdir -p "build/$(dirname "$to/x")"
    if [ -d "$root/$from" ]; then cp -r "$root/$from/." "build/$to"; else cp "$root/$from" "build/$to"; fi
done
section build post | chroot build /bin/sh >build.log 2>&1 || { tail -n 20 build.log; exit 1; }
grep -E '^-- bittern:' build.log

echo "== stage final"
section final files | while read -r from to; do [ -z "$from" ] || cp -r "build/$from/." "final/$to"; done
section final post | chroot final /bin/sh >final.log 2>&1 || { tail -n 20 final.log; exit 1; }
! chroot final sh -c 'command -v cc' || { echo "FAILED: the image has a compiler"; exit 1; }
{ section final environment; echo 'set -e'; section final test; } | chroot final /bin/sh
{ section final environment; section final runscript; } >final/run.sh
chroot final sh /run.sh --version
du -sh --apparent-size final | sed 's/final/the image, unpacked/'
echo "apptainer_steps: ok"
