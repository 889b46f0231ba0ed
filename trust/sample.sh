#!/usr/bin/env bash
# sample.sh STORE: a trust store with the six travellers of configs/campaigns/travel.csv, each verified and with a consent. The faces are
# drawn, so nobody can say the sentence: a tone stands for the recording, and a command that always says yes for the judge. With people, both
# are real: see README.md.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
export REELWRIGHT_TRUST=${1:?expected a folder for the store}
program=${REELWRIGHT:-build/reelwright}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ffmpeg -v error -y -f lavfi -i "sine=d=2" "$work/recording.wav"
python3 - configs/campaigns/travel.csv >"$work/people" <<'EOF'
import csv, sys
for r in csv.DictReader(open(sys.argv[1], encoding='utf-8')): print(r['id'], r['photo'], r['name'], sep='\t')
EOF
while IFS=$'\t' read -r id photo name; do
  "$program" cameo add "$id" --name "$name" --face "configs/campaigns/faces/$photo" >/dev/null
  "$program" cameo challenge "$id" >/dev/null
  "$program" cameo verify "$id" --recording "$work/recording.wav" --command true >/dev/null
  "$program" cameo grant "$id" --purpose "travel postcards" --brand Sunways --audience anyone --territory EU --territory CH --until 2030-12-31 --face >/dev/null
done <"$work/people"
"$program" cameo list
