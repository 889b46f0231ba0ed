#!/usr/bin/env bash
# Records as a page: compared, as a history, with what was measured beside and with a roofline; then the page of an MLPerf run. In Chromium.
tests=$(cd "$(dirname "$0")" && pwd)
source "$(dirname "$0")/../fault/farm.sh"
"$PROGRAM" bench --stage roofline --model "$MODEL" --latent 2x4x4 --threads 1 --json >roofline.json || fail "bench --stage roofline"
"$PROGRAM" bench --stage roofline --model "$MODEL" --latent 2x4x4 --threads 1 >roofline.txt || fail "bench --stage roofline, for people"
grep -q '^peaks of this machine: [1-9].* GFLOP/s in fp32, [0-9.]*[1-9].* GB/s' roofline.txt || fail "no peaks: $(cat roofline.txt)"
[ "$(grep -c '% of the roof' roofline.txt)" = 8 ] || fail "not every operation: $(cat roofline.txt)"
for bad in "" "--shape 5b --model $MODEL" "--shape 5b --latent 1x1" "--shape 5b --dtype fp7"; do
  # shellcheck disable=SC2086
  status_is 2 "$PROGRAM" bench --stage roofline $bad 2>bad.err
done
python3 - <<'PY'
import json
import random
random.seed(1)
roofline = json.load(open("roofline.json"))


def record(day, workers, group, seconds, **more):
    return {"format": "reelwright-record 1", "measured_s": 1.79e9 + 86400 * day, "machine": {"host": "n" * 80, "cpu": "x" * 90, "cores": 4, "memory_bytes": 1 << 34},
            "work": {"model": "ab" * 32, "width": 480, "height": 832, "frames": 81, "steps": 20, "guidance": 5, "renditions": ["reels"], "backend": "cpu"},
            "nodes": 1, "workers": workers, "group_size": group, "finishers": 0, "both": True,
            "nights": [{"wall_s": 12 * seconds / workers, "start_s": 1, "end_s": 1, "first_frame_s": 2, "shots": 12, "clips": 12, "energy_j": 900}],
            "load_s": [1.5], "render_s": [seconds * random.uniform(0.9, 1.2) for _ in range(12)], "finish_s": [seconds / 9 * random.uniform(0.9, 1.5) for _ in range(12)],
            "first_frame_s": [seconds], "leases": 24, "failed": 0, "stages": {"text_s": 0.1 * seconds, "denoise_s": 0.6 * seconds, "decode_s": 0.2 * seconds},
            "memory": {"renderer_bytes": 10**9, "finisher_bytes": 0, "added": {"start": 10**8, "load": 8 * 10**8}}, "sizes": {"master_bytes": 1e7, "clip_bytes": 1e6},
            "start_s": 1, "end_s": 1, "gap_s": 0.01, "run_sd": 0.02, "worker_sd": 0.01, **more}


for name, r in (("other.json", record(0, 8, 1, 30)), ("first.json", record(1, 2, 1, 14)), ("second <b>.json", record(2, 2, 1, 12)),
                ("new.json", record(3, 2, 1, 10, roofline=roofline, others=[record(3, 4, 1, 11), record(3, 4, 2, 6)]))):
    json.dump(r, open(name, "w"))
PY
"$PROGRAM" bench --page page.html other.json 'second <b>.json' first.json new.json || fail "bench --page"
status_is 2 "$PROGRAM" bench --page page.html 2>bad.err
status_is 2 "$PROGRAM" bench --page no/such/folder/page.html new.json 2>bad.err
status_is 2 "$PROGRAM" bench --page page.html missing.json 2>bad.err
status_is 2 "$PROGRAM" bench --model "$MODEL" --out late.json --against missing.json 2>bad.err
grep -q 'night 1' bad.err && fail "a record that is missing is noticed after the nights: $(cat bad.err)"
cp first.json kept.json
status_is 2 "$PROGRAM" bench --page first.json new.json 2>bad.err # `--page *.json`
grep -q "first.json: expected the page's own name first" bad.err && cmp -s first.json kept.json || fail "the page took a record's place: $(cat bad.err)"
"$PROGRAM" bench --scenario single-stream --shape 1.3b --layers 1 --latent 1x2x2 --tokens 2 --steps 2 --repeat 3 --out mlperf.json >mlperf.txt || fail "bench --scenario --out"
grep -q '"valid": false' mlperf.json && grep -q 'INVALID' mlperf.html || fail "random weights are no result: $(cat mlperf.json)"
status_is 2 "$PROGRAM" bench --stage text --shape 1.3b --out text.json 2>bad.err
python3 -c 'import sys; sys.path.insert(0, sys.argv[1]); import browser; sys.exit(browser.find() is None)' "$tests" ||
  { echo "skipped: there is no Chromium here (apt install chromium)"; exit 77; }
mkdir -p pictures
# the comparison is of the two that were given last, so these are those that a reader sees side by side
"$PROGRAM" bench --page page.html other.json first.json 'second <b>.json' new.json || fail "bench --page"
python3 "$tests/record_page.py" page.html mlperf.html pictures || fail "the pages"
