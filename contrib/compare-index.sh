#!/usr/bin/env bash
# How many announces a second BitTorrent trackers answer over UDP, beside the requests that BitTrickle's index answers: the
# same load, and the same bare echo as a floor. One line a program: replies a second and the ratio to the echo's, seconds of
# CPU time for a million replies and the ratio to the echo's. How to read it: docs/performance.md.
#
#   contrib/compare-index.sh [--seconds S] [--install] [--tools DIR] [--bench PATH]
#
#   --seconds S    seconds of each measurement; there are three of each program, and three of the echo beside each (3)
#   --install      get what is missing: opentracker with apt-get, aquatic_udp from the crate registry, which takes a while
#   --tools DIR    where aquatic_udp is looked for, and built by --install (target/compare-index)
#   --bench PATH   this bittrickle-bench instead of one that is built here
#
# Each tracker has one core and one thread for its socket, as BitTrickle's server has by itself. They don't promise the
# same: announces go in clear, and anybody may announce; BitTrickle opens each request's seal, knows whose it is, seals the
# answer, and puts a ticket with each source. An announce also notes the asker, as a heartbeat does.
#
# aquatic_udp is measured twice, with mio and with io_uring. It is built without the part that tells its figures to
# Prometheus, as a crate which that needs is no longer taken by the compiler.
#
# A program that is missing is passed over aloud. Everything is on 127.0.0.1 and free ports, in a folder of its own. What is
# started here is ended here, and nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=3 install=false tools=${CARGO_TARGET_DIR:-target}/compare-index bench=
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) seconds=$2; shift ;;
    --tools) tools=$2; shift ;;
    --bench) bench=$(realpath "$2"); shift ;;
    --install) install=true ;;
    *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 2 ;;
  esac
  shift
done

say() { printf '%s\n' "$*" >&2; }
fail() { say "compare-index: $*"; exit 1; }

work=$(mktemp -d "${TMPDIR:-/tmp}/bittrickle-compare-index-XXXXXX")
tracker=
# Ends the tracker that was started last, if it still runs.
end_tracker() {
  [ -n "$tracker" ] || return 0
  kill "$tracker" 2>/dev/null || true
  wait "$tracker" 2>/dev/null || true
  tracker=
}
clean_up() {
  trap - EXIT
  end_tracker
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- what is needed ---

for tool in python3 taskset; do
  command -v "$tool" >/dev/null || fail "$tool is needed"
done

# Builds aquatic_udp into a folder of its own: NAME FEATURES
install_aquatic() {
  [ ! -x "$tools/$1/bin/aquatic_udp" ] || return 0
  CARGO_TARGET_DIR=$tools/build cargo install --locked --quiet --root "$tools/$1" --no-default-features \
    --features "$2" aquatic_udp >&2 || say "can't build aquatic_udp with $2"
}

if "$install"; then
  # RUNLEVEL: what is installed is not to start a service of its own.
  command -v opentracker >/dev/null || RUNLEVEL=1 apt-get install -y opentracker >&2 || say "can't install opentracker"
  mkdir -p "$tools"
  tools=$(realpath "$tools")
  install_aquatic mio mimalloc
  install_aquatic uring mimalloc,io-uring
fi
if [ -z "$bench" ]; then
  cargo build --release --quiet -p bittrickle-bench
  bench=$(realpath "${CARGO_TARGET_DIR:-target}/release/bittrickle-bench")
fi

# --- the trackers ---

core=$(($(nproc) - 1))

free_port() {
  python3 -c 'import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Starts a tracker on one core: NAME COMMAND…
start() {
  local name=$1
  shift
  (cd "$work" && exec taskset -c "$core" "$@") >"$work/$name.log" 2>&1 </dev/null &
  tracker=$!
}

start_aquatic() {
  cat >"$work/$1.toml" <<END
socket_workers = 1

[network]
address = "127.0.0.1:$port"
$([ "$1" != uring ] || echo "use_io_uring = true")
END
  start "$1" "$tools/$1/bin/aquatic_udp" -c "$work/$1.toml"
}

# Debian's takes only contents that are in a list. It reads the list from within its folder, as another user.
start_opentracker() {
  mkdir -p "$work/opentracker"
  "$bench" tracker --print-torrents >"$work/opentracker/contents"
  chmod 755 "$work" "$work/opentracker"
  chmod 644 "$work/opentracker/contents"
  cat >"$work/opentracker.conf" <<END
listen.udp 127.0.0.1:$port
tracker.rootdir $work/opentracker
tracker.user nobody
access.whitelist contents
END
  start opentracker "$(command -v opentracker)" -f "$work/opentracker.conf"
}

# Measures a tracker, and passes it over aloud if it doesn't run here: NAME COMMAND…
measure() {
  local name=$1
  shift
  say "$name"
  port=$(free_port)
  "$@"
  if ! "$bench" tracker --address "127.0.0.1:$port" --pid "$tracker" --seconds "$seconds" --json \
    >"$work/$name.json" 2>"$work/$name.bench.log"; then
    say "$name: $(tail -n 1 "$work/$name.bench.log"); $(tail -n 2 "$work/$name.log")"
    rm "$work/$name.json"
  else
    cat "$work/$name.bench.log" >&2
  fi
  end_tracker
}

# --- all of it ---

for kind in mio uring; do
  if [ -x "$tools/$kind/bin/aquatic_udp" ]; then
    tools=$(realpath "$tools")
    measure "$kind" start_aquatic "$kind"
  else
    say "aquatic_udp with $kind is missing and passed over; --install builds it"
  fi
done
if command -v opentracker >/dev/null; then
  measure opentracker start_opentracker
else
  say "opentracker is missing and passed over; --install gets it"
fi
say "bittrickle"
"$bench" index --seconds "$seconds" --json >"$work/index.json" || say "the index can't be measured to the end"

# Prints a line: WHAT FILE FIGURE
row() {
  python3 - "$1" "$work/$2.json" "$3" <<'END'
import json, os, sys

what, path, name = sys.argv[1:]
figures = {line["name"]: line for line in map(json.loads, open(path))} if os.path.exists(path) else {}
if name in figures:
    rate, cpu = figures[name], figures[name + ".cpu"]
    cells = ["%.0f" % rate["value"], "%.2f" % rate["ratio"], "%.2f" % cpu["value"], "%.2f" % cpu.get("ratio", 0)]
else:
    cells = ["missing", "", "", ""]
print(("%-40s %9s %6s %10s %6s" % (what, *cells)).rstrip())
END
}
printf '%-40s %9s %6s %10s %6s\n' "over loopback, one core each" replies/s ratio s/million ratio
row "aquatic_udp, mio: announce" mio tracker.announce
row "aquatic_udp, io_uring: announce" uring tracker.announce
row "opentracker: announce" opentracker tracker.announce
row "bittrickle: heartbeat, sealed" index index.heartbeat
row "bittrickle: locate, sealed, tickets" index index.locate
say "load of the machine: $(cut -d ' ' -f 1-3 /proc/loadavg)"
