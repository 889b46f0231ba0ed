#!/usr/bin/env bash
# A campaign folder that cannot be written any more in the middle of a run, all of it or the part that workers write to, because its file
# system became read-only (EROFS) or its permissions changed (EACCES): the run says so and stops (3), nothing is half-written, nobody
# is blamed for it, and the run goes on once it can be written.
source "$(dirname "$0")/farm.sh"
trap 'unlock 2>/dev/null || true' EXIT

REAL=$PROGRAM LOCKED='' PLAIN=''
# A file system with open files cannot be remounted, so a read-only view of the folder is mounted over it: files that are opened from
# now on are refused, as after an error of the disk.
lock() { # FOLDER
  LOCKED=$1
  if [ -n "$PLAIN" ]; then
    chmod a-w "$1"
  else
    mount --bind "$1" "$1"
    mount -o remount,bind,ro "$1"
  fi
}
unlock() {
  [ -z "$LOCKED" ] || umount -l "$LOCKED" 2>/dev/null || chmod u+w "$LOCKED"
  LOCKED=
}
can_mount() {
  [ "$(id -u)" = 0 ] && mount --bind "$WORK" "$WORK" 2>/dev/null && umount -l "$WORK"
}

# Permissions mean nothing to root, who therefore starts the program as nobody.
become_plain_user() {
  local user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  PLAIN=yes
  [ "$(id -u)" = 0 ] || return 0
  mkdir home
  chmod 755 .
  chown -R 65534:65534 .
  "${user[@]}" sh -c "'$REAL' --help && cat '$MODEL'/model_index.json && touch '$WORK'/home/me" >/dev/null 2>&1 || return 1
  printf '#!/bin/sh\nHOME=%s TMPDIR=%s exec %s %s "$@"\n' "$WORK/home" "$WORK/home" "${user[*]}" "$REAL" >as_plain_user
  chmod 755 as_plain_user
  PROGRAM=$WORK/as_plain_user
}
owned_by_user() { [ "$PROGRAM" = "$REAL" ] || chown 65534:65534 "$@"; }

locked() { # NAME FOLDER ERROR: of the campaign's, locked while both workers are in the middle of a shot
  campaign "$1" 12
  rm -f go
  provoke "$HOLD"
  run "$1"
  until_true 120 held "$1" 2
  mkdir -p "out-$1/clips"
  owned_by_user "out-$1/clips"
  lock "$WORK/out-$1$2"
  release
  finish 3
  calm_down
  grep -q "out-$1$2 cannot be written: $3" "$1.err" || fail "the message does not say what cannot be written"
  unlock
  [ "$(times "$1" worker.aside)" = 0 ] || fail "$1: a worker is blamed for the folder"
  [ -z "$(find "out-$1" -name '*.draft.*')" ] || fail "$1: drafts are left over"
  [ "$(number "$1" finished)" = "$(find "out-$1/clips" -name '*.mp4' | wc -l)" ] || fail "$1: not as many files as finished clips"
  run "$1"
  finish 0
  check_complete "$1"
}

if can_mount; then
  locked whole "" "Read-only file system"
  locked clips /clips "Read-only file system"
  locked latents /latents "Read-only file system"
  same_files whole clips
  same_files whole latents
  echo "read-only as a whole, its clips, its latents: stopped, finished"
else
  echo "skipped: a folder is made read-only by root who can mount"
fi
if become_plain_user; then
  locked closed /clips "Permission denied"
  locked shut /latents "Permission denied"
  same_files closed shut
  echo "its clips, its latents not permitted: stopped, finished"
else
  skip "user 65534 cannot start $REAL, read $MODEL or write here, and permissions mean nothing to root"
fi
