#!/usr/bin/env bash
# run_isa.sh avx2|avx512|avx512bf16 PROGRAM: the program with no newer instructions than these; 77: this processor lacks them, or has
# nothing newer than avx512bf16.
set -euo pipefail
case $1 in
  avx2) flag=avx2 ;;
  avx512) flag=avx512bw ;;
  avx512bf16) flag=amx_bf16 ;;
esac
grep -qw "$flag" /proc/cpuinfo || { echo "skipped: this processor has no $flag"; exit 77; }
exec env REELWRIGHT_ISA="$1" "$2"
