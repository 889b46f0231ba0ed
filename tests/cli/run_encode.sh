#!/usr/bin/env bash
# run_encode.sh ENCODE_SUMS FOLDER SUMS: clips and stills are the same bytes whatever memory held before (glibc fills it when
# MALLOC_PERTURB_ says so) and whatever instructions the processor has; and, made by the x264 that SUMS was recorded with, the same
# as on the machine where that was: another processor's.
set -euo pipefail
program=$1 folder=$2 recorded=$3
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"

"$program" all >plain
for level in all:1 all:85 all:170 avx2:0 none:170; do
    MALLOC_PERTURB_=${level#*:} "$program" "${level%:*}" >other
    diff plain other || { echo "FAIL: other bytes with instructions ${level%:*} and MALLOC_PERTURB_=${level#*:}"; exit 1; }
done
grep -q avx512 /proc/cpuinfo || echo "not tried here: this processor has no AVX-512"

if [ "$(head -1 plain)" != "$(head -1 "$recorded")" ]; then
    echo "not compared with $recorded: that is of $(head -1 "$recorded"), here is $(head -1 plain)"
elif ! diff "$recorded" <(grep -v sheet plain); then # a sheet's labels are of the font that is installed
    echo "FAIL: other bytes than those in $recorded"
    exit 1
fi
echo "encode: the same bytes"
