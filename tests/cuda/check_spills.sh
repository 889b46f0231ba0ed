#!/usr/bin/env bash
# check_spills.sh - compiles every kernel for sm_80, sm_90 and sm_100 and fails when one spills registers, or when products of warp
# groups are made one after the other because registers do not suffice for more.
set -u
cd "$(dirname "$(readlink -f "$0")")/../.."
bad=0
for arch in 80 90a 100; do
  for source in kernels/cuda/*.cu; do
    report=$("${NVCC:-nvcc}" -std=c++17 -O3 -gencode="arch=compute_$arch,code=sm_$arch" -I. -Xptxas -v -cubin "$source" -o /dev/null 2>&1) || { echo "$report"; exit 1; }
    spills=$(echo "$report" | grep -B2 -E '[1-9][0-9]* bytes spill' | grep -oE "Function properties for \S+|[0-9]+ bytes spill stores")
    registers=$(echo "$report" | grep -oE 'Used [0-9]+ registers' | sort -t' ' -k2 -n | tail -1)
    echo "sm_$arch $(basename "$source"): $(echo "$report" | grep -c 'Compiling entry') kernels, at most ${registers#Used }${spills:+, SPILLS: $spills}"
    [ -z "$spills" ] || bad=1
    echo "$report" | grep 'Performance Loss' && bad=1
  done
done
exit $bad
