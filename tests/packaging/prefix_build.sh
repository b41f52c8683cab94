#!/usr/bin/env bash
# Builds and uses Bittern as a user without root, against libraries in a folder of the user's own: what Spack and environment modules give.
#   tests/packaging/prefix_build.sh FOLDER        a folder that does not exist yet; takes some minutes and about 500 MB
# The libraries are Debian's packages, fetched by apt-get download and unpacked, not installed. /usr is closed to CMake's search and to
# pkg-config, so a library that is only looked for there is not found. OpenBLAS and LAPACKE are joined into one libopenblas.so, as Spack's is, and
# HDF5 lies where Spack has it (Debian keeps a serial one and others apart).
# Not part of ./test.sh: it needs Debian's package servers. As root: setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/tmp ...
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
[ "$(id -u)" -ne 0 ] || { echo "prefix_build: run it as an unprivileged user: what needs root must fail here"; exit 1; }
work=${1:?prefix_build.sh needs a folder to work in}
mkdir -p "$(dirname "$work")" && mkdir "$work" && work=$(cd "$work" && pwd)
arch=$(gcc -print-multiarch)
wanted=(libdnnl-dev liblapacke-dev libopenblas-serial-dev libyaml-dev libpng-dev libjpeg62-turbo-dev libwebp-dev libtiff-dev libcairo2-dev libhdf5-dev)

echo "== packages"
mkdir "$work/debs" && cd "$work/debs"
apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "${wanted[@]}" |
    grep -E '^(lib|zlib|x11proto|xtrans|uuid-dev|ocl-icd)' | sort -u |
    grep -vE '^lib(c6|c-|gcc|stdc|gomp|gfortran|quadmath|perl|python|atlas|blis|debian|ssl|db5|newt|slang|gssapi|krb5|k5|keyutils|com-err|tirpc|nsl|crypt|readline|sqlite|gdbm|tinfo|ncurses|openblas.*-(openmp|pthread))' |
    grep -vE 'openblas0?-(openmp|pthread)' >list
xargs apt-get download >log 2>&1 <list || { tail -n 5 log; exit 1; }
for deb in *.deb; do dpkg -x "$deb" "$work/unpacked"; done
echo "$(wc -l <list) packages, $(du -sh "$work/unpacked" | cut -f1)"

echo "== a prefix as Spack lays it out"
prefix=$work/prefix
mkdir -p "$prefix/lib/pkgconfig"
cp -r "$work/unpacked/usr/include" "$prefix"
[ -d "$prefix/include/$arch" ] && cp -r "$prefix/include/$arch/." "$prefix/include" && rm -r "${prefix:?}/include/$arch"
cp -P "$work/unpacked/usr/lib/$arch"/*.so* "$prefix/lib"
[ ! -d "$work/unpacked/lib/$arch" ] || cp -P "$work/unpacked/lib/$arch"/*.so* "$prefix/lib"
cp -r "$work/unpacked/usr/lib/$arch/glib-2.0" "$prefix/lib" 2>/dev/null || true
for file in "$work/unpacked/usr/lib/$arch"/pkgconfig/*.pc "$work/unpacked"/usr/share/pkgconfig/*.pc; do
    sed -e "s|/usr/lib/$arch|$prefix/lib|g" -e "s|/usr/include/$arch|$prefix/include|g" -e "s|=/usr\b|=$prefix|; s|/lib/$arch|/lib|g" "$file" >"$prefix/lib/pkgconfig/$(basename "$file")"
done
cp -r "$prefix/include/hdf5/serial/." "$prefix/include" && rm -r "$prefix/include/hdf5"
ln -s libhdf5_serial.so "$prefix/lib/libhdf5.so"
sed -e 's|/hdf5/serial||' "$prefix/lib/pkgconfig/hdf5-serial.pc" >"$prefix/lib/pkgconfig/hdf5.pc" && rm "$prefix/lib/pkgconfig/hdf5-serial.pc"
rm -f "$prefix"/lib/liblapacke.* "$prefix"/lib/libopenblas* "$prefix"/lib/pkgconfig/*lapack*.pc
static=$work/unpacked/usr/lib/$arch
gcc -shared -o "$prefix/lib/libopenblas.so" -Wl,-soname,libopenblas.so,--no-undefined,--whole-archive "$static/liblapacke.a" -Wl,--no-whole-archive \
    "$static/libtmglib.a" "$static/openblas-serial/libopenblas.a" "$(gcc -print-file-name=libgfortran.so.5)" -lm

echo "== build as $(id -un), everything from $prefix"
mkdir "$work/source" && cd "$root"
git -c safe.directory="$root" ls-files -z | xargs -0 cp --parents -t "$work/source"
cd "$work/source"
# What `module load` and `spack env activate` set:
export CMAKE_PREFIX_PATH=$prefix PKG_CONFIG_PATH=$prefix/lib/pkgconfig LD_LIBRARY_PATH=$prefix/lib
# And what keeps Debian's own libraries out of this test:
export PKG_CONFIG_LIBDIR=$prefix/lib/pkgconfig
cmake --preset release -DCMAKE_FIND_USE_CMAKE_SYSTEM_PATH=OFF -DBITTERN_CUDA=OFF -DBITTERN_TESTS=OFF -DBITTERN_CUDA_HOST=OFF \
    -DCMAKE_INSTALL_PREFIX="$work/installed" >"$work/configure.log" 2>&1 || { tail -n 20 "$work/configure.log"; exit 1; }
grep -E '^-- bittern:' "$work/configure.log"
bad=0
for name in ONEDNN LAPACK PNG JPEG WEBP TIFF YAML CAIRO HDF5; do grep -q "bittern: $name on" "$work/configure.log" || { echo "FAILED: $name was not found in the prefix"; bad=1; }; done
if grep -E '^(DNNL|LAPACKE|pkgcfg_lib)[A-Za-z0-9_]*:[A-Z]*=/usr' build/release/CMakeCache.txt; then echo "FAILED: found in /usr"; bad=1; fi
cmake --build --preset release -j "$(nproc)" >"$work/build.log" 2>&1 || { tail -n 30 "$work/build.log"; exit 1; }
cmake --install build/release >"$work/install.log"

echo "== use"
bin=$work/installed/bin
for library in dnnl openblas png16 jpeg webp webpdemux tiff yaml cairo hdf5_serial; do
    ldd "$bin/bittern" | grep "lib$library" | grep -q "=> $prefix/" || { echo "FAILED: lib$library is not the prefix's: $(ldd "$bin/bittern" | grep "lib$library")"; bad=1; }
done
(unset LD_LIBRARY_PATH && ldd "$bin/bittern" | grep -q "libdnnl.* => $prefix/") || { echo "FAILED: installed programs do not find the prefix by themselves"; bad=1; }
"$bin/bittern" doctor
cd "$work" && "$bin/bittern" demo pictures --per-class 8 --size 16 >/dev/null
printf 'model: {name: custom, image: 16, patch: 8, width: 32, depth: 2, heads: 2}\nadapter: {targets: "q,v", rank: 4}\nmethod: {name: crovca, bits: 16}\ndata: {root: pictures, train: 4, query: 2}\ntrain: {epochs: 1, batch: 8}\nrun: {dir: run}\neval: {k: 4, batch: 8}\n' >small.yaml
"$bin/bittern" train small.yaml 2>train.log || { tail -n 5 train.log; exit 1; }
"$bin/bittern" export run model.safetensors
"$bin/bittern" embed model.safetensors pictures out.npy --codes
"$bin/bittern" embed model.safetensors pictures out.h5 --codes
"$bin/bittern" hash out.h5:embeddings --labels out.h5:labels --bits 8 --method pca >hash.txt || { echo "FAILED: HDF5 does not read what it wrote"; bad=1; }
"$bin/bittern" pack pictures pictures.h5 --size 16
# shellcheck disable=SC2046
PKG_CONFIG_PATH=$(dirname "$(find "$work/installed" -name bittern.pc)") gcc "$root/examples/encode.c" $(PKG_CONFIG_PATH=$(dirname "$(find "$work/installed" -name bittern.pc)") pkg-config --cflags --libs bittern) -o encode
LD_LIBRARY_PATH=$(dirname "$(find "$work/installed" -name libbittern.so)"):$LD_LIBRARY_PATH ./encode model.safetensors pictures/ring/00001.png
[ $bad -eq 0 ] && echo "prefix_build: ok"
exit $bad
