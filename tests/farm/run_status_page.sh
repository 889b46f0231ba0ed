#!/usr/bin/env bash
# The status page of a run in Chromium, its buttons and what it shows when the run is over; then the report: its order, its search, a clip that plays.
tests=$(cd "$(dirname "$0")" && pwd)
source "$(dirname "$0")/../fault/farm.sh"
python3 -c 'import sys; sys.path.insert(0, sys.argv[1]); import browser; sys.exit(browser.find() is None)' "$tests" ||
  { echo "skipped: there is no Chromium here (apt install chromium)"; exit 77; }
trap 'kill "${LAUNCHER:-}" 2>/dev/null || true' EXIT # a test that fails leaves nothing running
ROWS=6
NAME=shown_from_a_folder_whose_path_is_much_longer_than_a_narrow_page_is_wide # nobody chooses the path that a page says
campaign $NAME 4
sed -i 's/review: .*/review: {policy: all}/' $NAME.yaml
provoke "at=denoise,step=3,clip=k2,do=fail.clip; at=denoise,step=2,clip=k4,do=hold,until=$WORK/go"
WORKERS=1 run $NAME --listen 0
until_true 120 happened $NAME clip.approved
until_true 60 grep -q 'status page: http' $NAME.err
address=$(sed -n 's/.*status page: \(http[^ ]*\)$/\1/p' $NAME.err)
python3 "$tests/status_page.py" "$PROGRAM" out-$NAME "$address" "$WORK/go" pictures || fail "the status page"
finish 1
python3 "$tests/report_page.py" out-$NAME pictures || fail "the report"
