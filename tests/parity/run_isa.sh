#!/usr/bin/env bash
# run_isa.sh avx2|avx512 PROGRAM: the program with no newer instructions than these; 77: this processor lacks them.
set -euo pipefail
flag=$1
[ "$flag" = avx2 ] || flag=avx512bw
grep -qw "$flag" /proc/cpuinfo || { echo "skipped: this processor has no $1"; exit 77; }
exec env REELWRIGHT_ISA="$1" "$2"
