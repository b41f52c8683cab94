#!/usr/bin/env bash
# `bittern fetch` against a server on loopback that cuts, lies, redirects and refuses.   fetch.sh BITTERN SOURCE_FOLDER
# Exit code 77: no python3, which plays the server.
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
set -u
bittern=$1 root=$2
scratch=$(mktemp -d /tmp/bittern_fetch.XXXXXX)
server=
trap '[ -z "$server" ] || kill "$server"; umount "$scratch/disk" 2>/dev/null; rm -rf "$scratch"' EXIT
passed=0 failed=0
check() { # what, condition's exit code
    if [ "$2" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $1"; fi
}
export HOME=$scratch/home OMP_NUM_THREADS=1 NO_COLOR=1
unset SSL_CERT_FILE CURL_CA_BUNDLE BITTERN_CACHE XDG_CACHE_HOME BITTERN_WEIGHTS_BASE BITTERN_WEIGHTS_TOKEN
cache=$scratch/cache

# ---- runs of the command, each read for its exit code and its message ----
run() { # arguments...; sets rc, $scratch/out, $scratch/err
    rc=0
    BITTERN_CACHE=$cache "$bittern" fetch "$@" >"$scratch/out" 2>"$scratch/err" || rc=$?
}
case_of() { # what, exit code, part of the message, arguments...
    local what=$1 code=$2 text=$3
    shift 3
    run "$@"
    [ "$rc" -eq "$code" ] && grep -qF -- "$text" "$scratch/err" "$scratch/out" && [ "$(grep -c '^bittern: ' "$scratch/err")" -eq "$([ "$code" -eq 0 ]; echo $?)" ]
    code_of_check=$?
    check "$what: exit code $rc (expected $code), $(tail -n 2 "$scratch/err") (expected: $text)" $code_of_check
}
is() { # what, a, b
    [ "$2" = "$3" ]
    check "$1: \"$2\", expected \"$3\"" $?
}

# ---- without the network: table, names, places ----
case_of "the list" 0 'dinov2-with-registers-base' --list
# README's table has every name of the list but those of sound, and no other.
sed -n '/^## Supported models/,/^The CUDA/p' "$root/README.md" | awk -F'|' '/^\|/ && !/bittern fetch/ { print $3 }' | grep -o '`[^`]*`' |
    tr -d '`' | while read -r name; do eval "printf '%s\n' $name"; done | sort >"$scratch/readme"
awk '$2 == "no" && $0 !~ /, sound/ { print $1 }' "$scratch/out" | sort >"$scratch/listed"
[ -s "$scratch/readme" ] && cmp -s "$scratch/readme" "$scratch/listed"
check "README has the names of the list" $?
case_of "the list names the cache" 0 "cache: $cache/weights" --list
run --list --json
python3 - "$scratch/out" <<'CODE'
import json, sys
models = {m["name"]: m for m in json.load(open(sys.argv[1]))["models"]}
assert len(models) > 40
for name in ("dinov3-vitb16-pretrain-lvd1689m", "dinov2-with-registers-base", "simdinov2_vitb16_reg4", "DFN2B-CLIP-ViT-B-16", "vit_b_16.imagenet1k_v1",
             "vit_b_16.imagenet1k_swag_e2e_v1"):
    assert models[name]["licence"] and not models[name]["cached"], name
for m in models.values():
    names = [f["file"] for f in m["files"]]
    assert len(set(names)) == len(names) and all("/" not in n for n in names), m["name"]
    assert all(f.get("address", "https://x").startswith("https://") for f in m["files"]), m["name"]
assert models["dinov2-small"]["files"][0]["address"].endswith("/facebook/dinov2-small/resolve/main/model.safetensors")
assert "address" not in models["simdinov2_vitb16_reg4"]["files"][0]
CODE
check "the list as JSON" $?
case_of "unknown name with the nearest" 2 'no model "dinov2_vitb41" in the table; did you mean "dinov2_vitb14"?' dinov2_vitb41
case_of "no name" 2 'which model?'
case_of "a name and --list" 2 '--list shows the whole table' --list dinov2_vits14
case_of "a sum that is none" 2 '--sha256: found "12ab"' dinov2_vits14 --sha256 12ab
for place in BITTERN_CACHE="$scratch/a" XDG_CACHE_HOME="$scratch/b" HOME="$scratch/c"; do
    found=$(env "$place" "$bittern" fetch --list | sed -n 's/^cache: //p')
    case $place in
    BITTERN*) want=$scratch/a/weights ;;
    XDG*) want=$scratch/b/bittern/weights ;;
    *) want=$scratch/c/.cache/bittern/weights ;;
    esac
    is "the cache by ${place%%=*}" "$found" "$want"
done
case_of "what has no address is brought by hand" 7 "bring by hand simdinov2_vitb16_reg4.pth, its authors share it" simdinov2_vitb16_reg4
grep -qF "to $cache/weights/simdinov2_vitb16_reg4/" "$scratch/err"
check "and where to put it" $?
mkdir -p "$cache/weights/simdinov2_vitb16_reg4" && echo weights >"$cache/weights/simdinov2_vitb16_reg4/simdinov2_vitb16_reg4.pth"
case_of "a file brought by hand is taken" 0 "$cache/weights/simdinov2_vitb16_reg4/simdinov2_vitb16_reg4.pth" simdinov2_vitb16_reg4
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n' >"$cache/weights/simdinov2_vitb16_reg4/simdinov2_vitb16_reg4.pth"
case_of "a pointer brought by hand" 5 'is a git-lfs pointer' simdinov2_vitb16_reg4
if "$bittern" doctor | grep -q '^curl *no'; then
    case_of "a build that cannot fetch says what to bring" 7 'bring by hand dinov2_vits14_pretrain.pth, from https://' dinov2_vits14
    case_of "and where to" 7 "to $cache/weights/dinov2_vits14/" dinov2_vits14
    echo "skipped: the server's cases (a build without libcurl)"
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
fi

# ---- the server ----
certificate=
if command -v openssl >/dev/null && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 \
    -keyout "$scratch/key" -out "$scratch/certificate" 2>/dev/null; then
    certificate=$scratch/both
    cat "$scratch/certificate" "$scratch/key" >"$certificate"
fi
python3 "$root/tests/fetch/server.py" "$scratch/port" "$scratch/log" $certificate &
server=$!
for i in $(seq 100); do [ -s "$scratch/port" ] && break; sleep 0.1; done
read -r port secure <"$scratch/port" || [ -n "$port" ] || { echo "FAILED: no server"; exit 1; }
base=http://127.0.0.1:$port
serve() { # JSON
    python3 -c 'import sys, urllib.request; urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1] + "/set", sys.argv[2].encode()).read()' "$base" "$1"
    : >"$scratch/log"
}
requests() { grep -c . "$scratch/log"; }
hub=/facebook/dinov2-small/resolve/main
plain=/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth
pth=$cache/weights/dinov2_vits14/dinov2_vits14_pretrain.pth
python3 -c 'import random, sys; sys.stdout.buffer.write(random.Random(7).randbytes(3000000))' >"$scratch/whole"
sum=$(sha256sum "$scratch/whole" | cut -d' ' -f1)
big='"size": 3000000, "seed": 7'
fresh() { rm -rf "$cache"; }
one() { # what, exit code, message, the file's settings, arguments...
    local what=$1 code=$2 text=$3 settings=$4
    shift 4
    serve "{\"$plain\": {$settings}}"
    case_of "$what" "$code" "$text" dinov2_vits14 --base "$base" "$@"
}
nothing_in_place() { [ ! -e "$pth" ]; check "$1: nothing is in place" $?; }
same() { cmp -s "$pth" "$scratch/whole"; check "$1: the same bytes" $?; }
no_rest() { is "$1: nothing but the file and its sum" "$(ls "$cache/weights/dinov2_vits14" | tr '\n' ' ')" "dinov2_vits14_pretrain.pth dinov2_vits14_pretrain.pth.sha256 "; }

# Whole models, the cache, the layout of a hub.
serve "{\"$hub/model.safetensors\": {$big, \"linked\": \"\\\"$sum\\\"\", \"linked_size\": 3000000}, \"$hub/config.json\": {\"body\": \"{}\"}, \"$hub/preprocessor_config.json\": {\"body\": \"{}\"}}"
case_of "a model of a hub" 0 "sha256 $sum: as the server states" dinov2-small --base "$base/"
is "three paths on standard output" "$(tr '\n' ' ' <"$scratch/out")" "$cache/weights/dinov2-small/model.safetensors $cache/weights/dinov2-small/config.json $cache/weights/dinov2-small/preprocessor_config.json "
cmp -s "$cache/weights/dinov2-small/model.safetensors" "$scratch/whole"
check "the bytes of the model" $?
(cd "$cache/weights/dinov2-small" && sha256sum --quiet -c model.safetensors.sha256)
check "its sum is on record as sha256sum writes it" $?
: >"$scratch/log"
case_of "the second time" 0 'in the cache, 3000000 bytes' facebook/dinov2-small --base "$base"
is "makes no request" "$(requests)" 0
case_of "no server is needed for what is cached" 0 'in the cache' dinov2-small --base http://127.0.0.1:1
chmod -R a-w "$cache"
case_of "nor a cache that can be written" 0 'in the cache' dinov2-small --base "$base"
chmod -R u+w "$cache"
run --list
grep -q '^dinov2-small  *yes ' "$scratch/out"
check "the list says it is cached" $?
rm "$cache/weights/dinov2-small/config.json"
case_of "a missing file comes alone" 0 'config.json' dinov2-small --base "$base"
is "by one request" "$(requests)" 1
run dinov2-small --base "$base" --verify --json
is "--verify as JSON" "$(python3 -c 'import json, sys; f = json.load(open(sys.argv[1]))["files"][0]; print(f["compared_with"], f["sha256"], f["cached"])' "$scratch/out")" "record $sum True"
printf x | dd of="$cache/weights/dinov2-small/model.safetensors" bs=1 seek=1000 conv=notrunc status=none
case_of "without --verify a changed byte is not seen" 0 'in the cache' dinov2-small --base "$base"
case_of "--verify sees it" 5 'as when it was fetched' dinov2-small --base "$base" --verify
[ -e "$cache/weights/dinov2-small/model.safetensors.refused" ] && [ ! -e "$cache/weights/dinov2-small/model.safetensors" ]
check "and takes the file out of its place" $?
serve "{\"$plain\": {$big}}"
rc=0
BITTERN_WEIGHTS_BASE=$base BITTERN_CACHE=$cache "$bittern" fetch dinov2_vits14 >"$scratch/out" 2>"$scratch/err" || rc=$?
is "the base by the environment" "$rc" 0
grep -q "to pin the file that came: --sha256 $sum" "$scratch/err"
check "what could not be verified is said, with the sum to pin" $?
no_rest "plain"

# Sums.
fresh
one "a sum that the user gives" 0 'as given by --sha256' "$big" --sha256 "$sum"
one "is compared with a cached file as well" 5 'as given by --sha256' "$big" --sha256 "${sum//[0-9]/0}"
[ -e "$pth" ]
check "which stays, for the sum may be the mistake" $?
fresh
one "a wrong sum is refused" 5 "sha256 is $sum, not" "$big" --sha256 "${sum//[0-9]/0}"
nothing_in_place "wrong sum"
[ ! -e "$pth.partial" ]
check "nor a part of it" $?
one "a sum that the server states wrongly" 5 'as the server states' "$big, \"linked\": \"\\\"${sum//[0-9]/0}\\\"\""
nothing_in_place "stated sum"
one "the ETag of a content store" 0 "as the server's ETag says" "$big, \"etag\": \"\\\"$sum\\\"\""
fresh
one "a weak ETag says nothing" 0 "only its size could be verified" "$big, \"etag\": \"W/\\\"${sum//[0-9]/0}\\\"\""
fresh
serve "{\"/models/vit_b_16-c867db91.pth\": {$big}}"
case_of "the digits in a published name" 5 'not c867db91... (its first digits are those in the published name)' vit_b_16.imagenet1k_v1 --base "$base"
serve "{\"/clip/models/40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af/ViT-B-32.pt\": {$big}}"
case_of "the sum in the table" 5 '(as published); if that file is meant, say so by --sha256' openai-ViT-B-32 --base "$base"
case_of "another version that the user means" 0 'as given by --sha256' openai-ViT-B-32 --base "$base" --sha256 "$sum"
serve "{\"/imageomics/bioclip-2/resolve/main/open_clip_model.safetensors\": {$big}}"
case_of "another size than the table's" 5 'has 3000000 bytes, the published file 1710517724' bioclip-2 --base "$base"

# Cuts and resumes.
fresh
etag='"etag": "\"v1\""'
one "a cut that lasts" 4 '1000000 bytes of dinov2_vits14_pretrain.pth are kept' "$big, $etag, \"cut\": 1000000" --tries 1
is "the part is there" "$(stat -c %s "$pth.partial")" 1000000
nothing_in_place "cut"
one "the same command goes on" 0 'goes on at byte 1000000' "$big, $etag"
grep -q 'range=bytes=1000000- if-range="v1"' "$scratch/log"
check "with the part's validator" $?
same "resume"
no_rest "resume"
fresh
one "cuts are tried again at once" 0 'again in 1 s' "$big, $etag, \"cut\": 2000000, \"cuts\": 1"
same "two pieces"
fresh
run_cut() { one "a part for $1" 4 'are kept' "$big, ${2-$etag}, \"cut\": 1000000" --tries 1; }
run_cut "a changed file"
one "a changed file begins anew" 0 'changed on the server' "$big, \"etag\": \"\\\"v2\\\"\""
same "changed"
fresh
run_cut "no resume"
one "--resume=false" 0 'bytes' "$big, $etag" --resume=false
grep -q 'range=-' "$scratch/log"
check "asks for all of it" $?
fresh
run_cut "a server without ranges"
one "a server without ranges" 0 'begins anew' "$big, $etag, \"range\": \"ignore\""
same "without ranges"
fresh
one "a part without a validator" 4 'are kept' "$big, \"cut\": 1000000" --tries 1
one "begins anew" 0 'bytes' "$big"
grep -q 'range=-' "$scratch/log"
check "and asks for all of it" $?
fresh
run_cut "a wrong range"
one "a wrong Content-Range" 5 "the server's Content-Range is 1000003-2999999/3000000; 1000000 bytes" "$big, $etag, \"range\": \"wrong\""
is "the part is still there" "$(stat -c %s "$pth.partial")" 1000000
one "another total" 5 '/3001000' "$big, $etag, \"range\": \"total\""
one "a page of HTML in place of the rest" 5 'a page of HTML came' "$big, $etag, \"type\": \"text/html; charset=utf-8\""
is "the part is there still" "$(stat -c %s "$pth.partial")" 1000000
one "a range that the server does not have" 0 'bytes' "$big, $etag, \"range\": \"refuse\""
is "is asked for once, then all" "$(sed 's/.*range=\(.*\) if.*/\1/' "$scratch/log" | tr '\n' ' ')" "bytes=1000000- - "
same "without that range"
fresh
run_cut "damage"
printf x | dd of="$pth.partial" bs=1 seek=1000 conv=notrunc status=none
one "a damaged part is given up" 0 'all of it comes again' "$big, $etag, \"linked\": \"\\\"$sum\\\"\""
same "damaged part"
fresh
run_cut "a complete part"
cp "$scratch/whole" "$pth.partial"
printf 'etag "v1"\nbytes 3000000\n' >"$pth.partial.state"
: >"$scratch/log"
case_of "a part that is complete" 0 'only its size could be verified' dinov2_vits14 --base "$base"
is "needs no request" "$(requests)" 0
fresh
run_cut "a state that is nonsense"
head -c 3000 /dev/urandom >"$pth.partial.state"
one "nonsense beside a part" 0 'bytes' "$big, $etag"
same "nonsense"

# What comes may be anything.
fresh
one "a truncated body" 4 'given up after 2 tries' "$big, \"length\": 4000000" --tries 2
fresh
one "a body beyond its length ends there" 0 'bytes' "$big, \"extra\": 5000"
same "beyond its length"
fresh
one "a size that the hub states otherwise" 5 'the server states 2999999 bytes and sends 3000000' "$big, \"linked_size\": 2999999"
one "chunks beyond the stated size" 5 'more than 2000000 bytes came' "$big, \"linked_size\": 2000000, \"length\": \"chunked\""
one "chunks without a size" 0 'nothing is known to compare it with' "$big, \"length\": \"chunked\""
same "chunks"
fresh
one "a page of HTML" 5 'a page of HTML came' '"body": "<!DOCTYPE html><html>", "type": "text/html"'
one "a page of HTML that does not say so" 5 'is a page of HTML' '"body": "\n <!doctype HTML><html>log in"'
one "a git-lfs pointer" 5 'is a git-lfs pointer' '"body": "version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 12\n"'
one "nothing at all" 5 'is empty' '"body": ""'
one "compressed" 5 'compressed' "$big, \"headers\": {\"Content-Encoding\": \"gzip\"}"
nothing_in_place "all that"
[ -z "$(find "$cache" -name '*.partial*' -o -name '*.lock')" ]
check "and nothing is left behind" $?
serve "{\"$hub/model.safetensors\": {$big}, \"$hub/config.json\": {\"body\": \"$(printf 'y%.0s' {1..1000})\", \"endless\": 1}}"
case_of "a body without end" 5 'more than 16777216 bytes came, and no end is stated' dinov2-small --base "$base"
serve "{\"$hub/config.json\": {\"body\": \"[1]\"}}"
case_of "a configuration that is none" 5 'is no JSON object' dinov2-small --base "$base"

# Codes.
one "401" 4 'not allowed (401); if its licence must be accepted' '"code": 401'
one "403" 4 'not allowed (403)' '"code": 403'
one "404" 4 'there is no such file (404)' '"code": 404'
one "an odd code" 4 'the server answered 418' '"code": 418'
one "503, then 200" 0 'again in 1 s' "$big, \"codes\": [503, 200]"
is "by two requests" "$(requests)" 2
fresh
one "429 with Retry-After" 0 'asking for fewer requests (429); again in 2 s' "$big, \"codes\": [429, 200], \"headers\": {\"Retry-After\": \"2\"}"
python3 -c 'import re, sys; t = [float(re.search("at=(.*)", l)[1]) for l in open(sys.argv[1])]; sys.exit(not (len(t) == 2 and 1.9 < t[1] - t[0] < 30))' "$scratch/log"
check "which is honoured" $?
fresh
one "a Retry-After beyond reason" 4 'try again in 3600 seconds, as the server asks' '"code": 503, "headers": {"Retry-After": "3600"}'
is "by one request" "$(requests)" 1
one "500 that lasts" 4 'given up after 2 tries' '"code": 500' --tries 2
one "a server that falls silent" 4 'nothing came for 1 seconds' "$big, $etag, \"stall\": 70000" --timeout 1 --tries 1
case_of "nobody listens: what to bring, from where, to where" 4 "bring by hand dinov2_vits14_pretrain.pth, from https://" dinov2_vits14 --base http://127.0.0.1:1
grep -qF "to $cache/weights/dinov2_vits14/" "$scratch/err"
check "the place for it" $?

# Redirects and the token.
fresh
export BITTERN_WEIGHTS_TOKEN=sEcReT
serve "{\"$plain\": {\"code\": 302, \"location\": \"{other}/store?signature=abc\", \"linked\": \"\\\"$sum\\\"\"}, \"/store\": {$big, \"etag\": \"\\\"${sum//[0-9]/0}\\\"\"}}"
case_of "a redirect to another host" 0 'as the server states' dinov2_vits14 --base "$base"
grep -q "^127.0.0.1 $plain .* token=Bearer_sEcReT" "$scratch/log" && grep -q '^127.0.0.2 /store.* token=- ' "$scratch/log"
check "which does not get the token" $?
! grep -q sEcReT "$scratch/err" "$scratch/out"
check "which is never shown" $?
fresh
serve "{\"$plain\": {\"code\": 307, \"location\": \"/there\"}, \"/there\": {\"code\": 403}}"
case_of "a token that is not enough" 4 'the token in BITTERN_WEIGHTS_TOKEN was sent' dinov2_vits14 --base "$base"
grep -q '^127.0.0.1 /there .* token=Bearer_sEcReT' "$scratch/log"
check "a redirect within the host keeps the token" $?
serve "{\"$plain\": {\"code\": 302, \"location\": \"{other}/back\"}, \"/back\": {\"code\": 302, \"location\": \"$base/there\"}, \"/there\": {$big}}"
case_of "a redirect that comes back" 0 'bytes' dinov2_vits14 --base "$base"
grep -q '^127.0.0.1 /there .* token=- ' "$scratch/log"
check "does not bring the token back" $?
BITTERN_WEIGHTS_TOKEN=$'a\r\nX: y' case_of "a token with a line break" 2 'BITTERN_WEIGHTS_TOKEN has a space, a line break' dinov2_vits14 --base "$base"
unset BITTERN_WEIGHTS_TOKEN
fresh
one "a redirect to http elsewhere" 4 'http://mirror.invalid/x is not fetched from' '"code": 302, "location": "http://mirror.invalid/x"'
one "a redirect to a file" 4 'file:///etc/passwd is no address' '"code": 302, "location": "file:///etc/passwd"'
one "a redirect with a password" 4 'a user or password' "\"code\": 302, \"location\": \"http://me:pw@127.0.0.1:$port/x\""
one "a redirect to itself" 4 'redirected more than 8 times' "\"code\": 302, \"location\": \"$plain\""
is "is followed eight times" "$(requests)" 9
one "a redirect to nowhere" 4 'without saying where to' '"code": 302'
case_of "a base of another scheme" 2 'base address: ftp://127.0.0.1/x is not fetched from' dinov2_vits14 --base ftp://127.0.0.1/x
case_of "a base of http elsewhere" 2 'is not fetched from' dinov2_vits14 --base http://127.0.0.1.mirror.invalid/x
case_of "a base with a password" 2 'a user or password' dinov2_vits14 --base https://me:pw@mirror.invalid/
case_of "a base with a query" 2 'no query' dinov2_vits14 --base "$base/?a=b"
nothing_in_place "redirects"

# TLS.
fresh
if [ -n "$certificate" ]; then
    serve "{\"$plain\": {$big}}"
    case_of "a certificate that nobody vouches for" 4 'certificate' dinov2_vits14 --base "https://127.0.0.1:$secure"
    is "gets no request" "$(requests)" 0
    export SSL_CERT_FILE=$scratch/certificate
    case_of "SSL_CERT_FILE names who vouches" 0 'bytes' dinov2_vits14 --base "https://127.0.0.1:$secure"
    same "TLS"
    case_of "a certificate of another name" 4 'localhost' dinov2-small --base "https://localhost:$secure"
    unset SSL_CERT_FILE
else
    echo "skipped: TLS (no openssl to make a certificate)"
fi

# On a terminal one line is redrawn, and nothing of it stays.
fresh
serve "{\"$plain\": {$big, $etag, \"slow\": 0.03}}"
python3 "$root/tests/cli/terminal.py" "$scratch/terminal" 100 TERM=xterm NO_COLOR= BITTERN_CACHE="$cache" "$bittern" fetch dinov2_vits14 --base "$base"
check "a fetch in a terminal" $?
grep -Eq 'dinov2_vits14_pretrain.pth  [0-9.]+ [kM]B of 3.0 MB  [0-9]+ %  [0-9.]+ [kM]?B/s  [0-9]+:[0-9]+ left' "$scratch/terminal.drawn"
check "the line tells bytes, share, rate, time left" $?
! grep -q ' left' "$scratch/terminal.screen" && grep -q 'sha256' "$scratch/terminal.screen"
check "nothing of the line is left behind" $?

# Several at once, Ctrl-C, a full disk.
fresh
serve "{\"$plain\": {$big, $etag, \"slow\": 0.03}}"
for i in 1 2 3 4; do
    (BITTERN_CACHE=$cache "$bittern" fetch dinov2_vits14 --base "$base" >"$scratch/out$i" 2>"$scratch/err$i"; echo $? >"$scratch/rc$i") &
    workers[i]=$!
done
wait "${workers[@]}"
is "four at once" "$(cat "$scratch"/rc[1-4] | tr '\n' ' ')" "0 0 0 0 "
is "make one request" "$(requests)" 1
cat "$scratch"/err[1-4] | grep -q 'another process is fetching'
check "and the others say that they wait" $?
same "four at once"
no_rest "four at once"
fresh
serve "{\"$plain\": {$big, $etag, \"slow\": 0.2}}"
BITTERN_CACHE=$cache "$bittern" fetch dinov2_vits14 --base "$base" >"$scratch/out" 2>"$scratch/err" &
worker=$!
for i in $(seq 100); do [ "$(stat -c %s "$pth.partial" 2>/dev/null || echo 0)" -gt 100000 ] && break; sleep 0.1; done
kill -INT $worker
rc=0
wait $worker || rc=$?
is "Ctrl-C ends with its code" "$rc" 11
grep -q 'bittern: interrupted; [0-9]* bytes of dinov2_vits14_pretrain.pth are kept, the same command goes on' "$scratch/err"
check "and says what is kept" $?
kept=$(stat -c %s "$pth.partial")
one "after Ctrl-C it goes on" 0 "goes on at byte $kept" "$big, $etag"
same "after Ctrl-C"
fresh
one "a lock that a killed process left" 4 'are kept' "$big, $etag, \"cut\": 1000000" --tries 1
touch "$pth.lock"
one "does not hold anybody" 0 'goes on at byte 1000000' "$big, $etag"
mkdir "$scratch/disk"
if mount -t tmpfs -o size=2m tmpfs "$scratch/disk" 2>/dev/null; then
    cache=$scratch/disk
    pth=$cache/weights/dinov2_vits14/dinov2_vits14_pretrain.pth
    one "a full disk" 4 'No space left on device; the disk is full' "$big, $etag"
    grep -q 'bytes of dinov2_vits14_pretrain.pth are kept' "$scratch/err"
    check "keeps the part" $?
    mount -o remount,size=8m "$scratch/disk"
    one "with room again it goes on" 0 'goes on at byte' "$big, $etag"
    same "after a full disk"
    umount "$scratch/disk"
else
    echo "skipped: disk full (no right to mount a tmpfs)"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
