#!/usr/bin/env bash
# The review page in Chromium: a small campaign reviewed by keyboard from start to end; then what was rendered again, with its earlier version.
tests=$(cd "$(dirname "$0")" && pwd)
source "$(dirname "$0")/../fault/farm.sh"
python3 -c 'import sys; sys.path.insert(0, sys.argv[1]); import browser; sys.exit(browser.find() is None)' "$tests" ||
  { echo "skipped: there is no Chromium here (apt install chromium)"; exit 77; }
cat >customers.csv <<END
id,name,city
k1,"Zoë <b>O'Neil</b>",Berlin
k2,Ben,Rome
k3,"Ann, ""A""",Berlin
k4,Jo,Oslo
k5,Kim,Rome
END
cat >pages.yaml <<END
campaign: pages
model: $MODEL
customers: customers.csv
prompt: "a balloon over {{city}} for {{name}}"
seed: "{{id|3}}"
steps: 2
size: 32x48
frames: 9
fps: 8
renditions: [preview]
pilot: 1
gates: {set: default, exposure: {hold: 60, fail: 300}, flicker: {fail: 1000}, flash: {fail: 1000}, red_flash: {fail: 1000}, frozen: {fail: 60}, black: {fail: 60}, saturated: {fail: 60}, blockiness: {fail: 1000}}
review: {policy: all}
END
sed -i 's/^seed:.*/seed: 3/' pages.yaml
"$PROGRAM" run pages.yaml --out out-pages --workers 1 --wait 0 --quiet 2>pages.err || grep -q "the pilot is made" pages.err || fail "the pilot"
"$PROGRAM" pilot approve out-pages >/dev/null || fail "cannot approve the pilot"
"$PROGRAM" run pages.yaml --out out-pages --workers 1 --quiet 2>pages.err || fail "the run: $(cat pages.err)"
python3 "$tests/review_page.py" "$PROGRAM" out-pages pictures || fail "the page"
"$PROGRAM" run pages.yaml --out out-pages --workers 1 --quiet 2>pages.err || fail "the second run: $(cat pages.err)"
python3 "$tests/review_compare.py" "$PROGRAM" out-pages pictures || fail "comparing"
"$PROGRAM" verify out-pages --json | grep -q '"audit": "whole"' || fail "the audit chain is not whole"
