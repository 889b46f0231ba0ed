# nodes.sh - machines of a farm as network namespaces on this one: a bridge, and for each node a namespace with an address on it and
# an agent that starts commands there as ssh would. Sourced after farm.sh.
[ "$(id -u)" = 0 ] || skip "needs root for network namespaces"
command -v ip >/dev/null || skip "no ip; ./quickstart.sh test installs iproute2"
FARM=rw$((RANDOM % 9000 + 1000)) # names of links and namespaces on this machine
NET=10.$((RANDOM % 200 + 20)).$((RANDOM % 250))

down() {
  local status=$? n
  trap - EXIT INT TERM
  set +e # what is not there need not be taken down
  for n in 1 2 3; do
    ip netns pids "$FARM-$n" 2>/dev/null | xargs -r kill -9 2>/dev/null
    ip netns del "$FARM-$n" 2>/dev/null
  done
  ip link del "$FARM" 2>/dev/null
  exit $status
}
trap down EXIT
trap 'exit 130' INT TERM

start_nodes() { # COUNT
  local n
  ip link add "$FARM" type bridge 2>/dev/null && ip link set "$FARM" up || skip "cannot make a network bridge here"
  for ((n = 1; n <= $1; n++)); do
    ip netns add "$FARM-$n" 2>/dev/null || skip "cannot make network namespaces here"
    ip netns exec "$FARM-$n" true 2>/dev/null || skip "cannot enter network namespaces here: / is not a mount point, as in a chroot?"
    ip link add "$FARM.$n" type veth peer name eth0 netns "$FARM-$n"
    ip link set "$FARM.$n" master "$FARM" up
    ip -n "$FARM-$n" addr add "$NET.$n/24" dev eth0
    ip -n "$FARM-$n" link set eth0 up
    ip -n "$FARM-$n" link set lo up
  done
  cat >agent <<END
#!/bin/sh
# AGENT HOST COMMAND...: what ssh does, by a namespace. A node whose link is down does not answer.
node=\${1##*.}
shift
ip -n "$FARM-\$node" link show eth0 | grep LOWER_UP >/dev/null || exit 255
exec ip netns exec "$FARM-\$node" unshare --uts sh -c "hostname node-\$node; \$*"
END
  chmod +x agent
}
run_on() { # NODE NAME HOSTS [options]: `run` from that node, on those, one worker each, with $AGENT
  local node=$1 name=$2
  printf "$NET.%s\n" $3 >"$name.hosts"
  shift 3
  ip netns exec "$FARM-$node" unshare --uts sh -c 'hostname "$0"; exec "$@"' "node-$node" "$PROGRAM" run "$name.yaml" \
    --out "out-$name" --hostfile "$name.hosts" --agent "$WORK/agent" --workers 1 "$@" 2>>"$name.err" &
  LAUNCHER=$!
}
cut_off() { ip link set "$FARM.$1" down; }         # silently: no connection is closed
kill_node() {
  cut_off "$1"
  until_true 60 node_is_empty "$1"
}
node_is_empty() { # one that ended by itself since it was listed is no failure
  ip netns pids "$FARM-$1" | xargs -r kill -9 2>/dev/null || true
  [ -z "$(ip netns pids "$FARM-$1")" ]
}
