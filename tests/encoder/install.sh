#!/usr/bin/env bash
# cmake --install into a folder of its own, which is then moved; from there the example is built, by pkg-config and by CMake, and must give
# the bits of `bittern embed`.   install.sh BITTERN BUILD_FOLDER C_COMPILER CMAKE   Exit code 77: no pkg-config.
command -v pkg-config >/dev/null || { echo "skipped: no pkg-config"; exit 77; }
. "$(dirname "$0")/../cli/common.sh"
build=$2 cc=$3 cmake=$4
prefix=$scratch/moved
"$cmake" --install "$build" --prefix "$scratch/installed" >log 2>&1 || { tail -n 20 log; exit 1; }
mv installed moved
config=$(find moved -name bittern.pc) lib=$(cd "$(dirname "$config")/.." && pwd)
for file in bin/bittern bin/bittern-bench include/bittern/encoder.h share/bittern/bittern.py share/bash-completion/completions/bittern \
    share/doc/bittern/LICENSE share/doc/bittern/README.md share/doc/bittern/docs/options.md share/doc/bittern/examples/encode.c; do
    check "$file is installed" "$([ -s moved/$file ]; echo $?)"
done
bash -n moved/share/bash-completion/completions/bittern
check "the completion is a script" $?

export PKG_CONFIG_PATH=$lib/pkgconfig LD_LIBRARY_PATH=$lib
read -ra flags <<<"$(pkg-config --cflags --libs bittern)"
"$cc" -std=c17 -Wall -Wextra -Werror moved/share/doc/bittern/examples/encode.c "${flags[@]}" -o encode 2>log
code=$?
check "the example builds by pkg-config: ${flags[*]}: $(cat log)" $code
[ "$(pkg-config --modversion bittern)" = "$(moved/bin/bittern --version | cut -d' ' -f2)" ]
check "version of bittern.pc" $?

mkdir project && cat >project/CMakeLists.txt <<END
cmake_minimum_required(VERSION 3.16)
project(example C)
find_package(bittern 0.1 REQUIRED)
add_executable(encode $prefix/share/doc/bittern/examples/encode.c)
target_link_libraries(encode bittern::bittern)
END
"$cmake" -S project -B project/build -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" >log 2>&1 && "$cmake" --build project/build >>log 2>&1
code=$?
check "the example builds by find_package: $(tail -n 3 log)" $code

train=("$bittern" train small.yaml eval.batch=0 train.epochs=1)
"${train[@]}" 2>log && "$bittern" export run model.safetensors >/dev/null || { cat log; exit 1; }
echo pictures/ring/00003.png >list.txt
"$bittern" embed model.safetensors list.txt one.npy --codes --batch 1 >/dev/null
./encode model.safetensors pictures/ring/00003.png >code.txt && project/build/encode model.safetensors pictures/ring/00003.png | cmp -s - code.txt
check "both programs encode" $?
[ "$(tail -c 2 one.codes.npy | od -An -tx1 | tr -d ' \n')" = "$(cut -d' ' -f2 code.txt)" ]
code=$?
check "the code is that of bittern embed: $(cat code.txt)" $code
# Nine digits keep every bit of a float.
./encode --embedding model.safetensors pictures/ring/00003.png | cut -d' ' -f3- | tr ' ' '\n' >numbers.txt
cat >bits.c <<'END'
#include <stdio.h>
#include <stdlib.h>
int main(void) { char text[64]; while (fgets(text, sizeof text, stdin)) { float x = strtof(text, NULL); fwrite(&x, sizeof x, 1, stdout); } return 0; }
END
[ "$(wc -l <numbers.txt)" = 32 ] && "$cc" bits.c -o bits && ./bits <numbers.txt | cmp - <(tail -c $((32 * 4)) one.npy)
check "the embedding is that of bittern embed, bit for bit" $?
./encode model.safetensors small.yaml >/dev/null 2>log
[ $? -eq 5 ] && grep -q 'encode: small.yaml: not a PNG, JPEG, WebP, TIFF or PPM' log
code=$?
check "a file that is no picture: $(cat log)" $code
./encode nothing.safetensors x.png >/dev/null 2>log
[ $? -eq 4 ] && grep -q 'cannot open nothing.safetensors' log
code=$?
check "a model that is not there: $(cat log)" $code
finish
