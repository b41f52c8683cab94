#!/usr/bin/env bash
# Every header compiles alone: public ones as C17 and C++17, those of src/ as C17.   headers.sh [C-COMPILER]
set -u
cd "$(dirname "$0")/../.." || exit 1
cc=${1:-cc} bad=0
flags=(-Wall -Wextra -Wpedantic -Werror -Iinclude -Isrc -fsyntax-only)
for header in include/bittern/*.h; do
    "$cc" -std=c17 "${flags[@]}" -x c "$header" -Wno-unused-function || { echo "not alone in C17: $header"; bad=1; }
    if command -v g++ >/dev/null; then
        g++ -std=c++17 "${flags[@]}" -x c++ -Wno-pragma-once-outside-header "$header" 2>/tmp/headers.$$ || { cat /tmp/headers.$$; echo "not alone in C++17: $header"; bad=1; }
        rm -f /tmp/headers.$$
    fi
done
# Drawing needs cairo's header, which a build may lack.
cairo=() skipped=src/fen/
if cflags=$(pkg-config --cflags cairo 2>/dev/null); then read -ra cairo <<<"$cflags" && skipped=none; fi
for header in src/*/*.h; do
    [ "${header#"$skipped"}" = "$header" ] || continue
    case $header in src/*/*_simd.h | src/cpu/*_tile.h | src/cpu/attention_parts.h) continue ;; esac # included with their vector width defined
    "$cc" -std=gnu17 "${flags[@]}" "${cairo[@]}" -x c "$header" || { echo "not alone: $header"; bad=1; }
done
[ $bad -eq 0 ] && echo "headers: ok"
exit $bad
