#!/usr/bin/env bash
# What other programs take to bring a file over loopback, beside BitTrickle and beside bare TCP (the benchmark's plain
# floor). One line a program: seconds, and the ratio to the floor. How to read it: docs/performance.md.
#
#   contrib/compare.sh [--rounds N] [--install] [--with-sendme] [--bench PATH]
#
#   --rounds N      measure everything N times by turns, and take medians (3)
#   --install       get what is missing with apt-get, and sendme with cargo
#   --with-sendme   measure sendme as well; with --install it is built from the crate registry, which takes a while
#   --bench PATH    this bittrickle-bench, with `bittrickle` beside it, instead of one that is built here
#
# A program that is missing is passed over aloud. Everything is on 127.0.0.1 and free ports, in a folder of its own, in
# memory where there is a tmpfs. What is started here is ended here, and nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly MIB=1024
rounds=3 install=false with_sendme=false bench=
while [ $# -gt 0 ]; do
  case $1 in
    --rounds) rounds=$2; shift ;;
    --bench) bench=$(realpath "$2"); shift ;;
    --install) install=true ;;
    --with-sendme) with_sendme=true ;;
    *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 2 ;;
  esac
  shift
done

say() { printf '%s\n' "$*" >&2; }
fail() { say "compare: $*"; exit 1; }

memory=/dev/shm
[ "$(stat -f -c %T "$memory" 2>/dev/null)" = tmpfs ] || memory=${TMPDIR:-/tmp}
work=$(mktemp -d "$memory/bittrickle-compare-XXXXXX")
children=()
clean_up() {
  trap - EXIT
  for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
  for child in "${children[@]}"; do wait "$child" 2>/dev/null || true; done
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- what is needed ---

for tool in python3 openssl cmp; do
  command -v "$tool" >/dev/null || fail "$tool is needed"
done
if "$install"; then
  missing=()
  for tool in nginx curl rsync; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  command -v aria2c >/dev/null || missing+=(aria2)
  # RUNLEVEL: what is installed is not to start a service of its own.
  [ ${#missing[@]} -eq 0 ] || RUNLEVEL=1 apt-get install -y "${missing[@]}" >&2 || say "can't install ${missing[*]}"
fi
sendme=$(command -v sendme || true)
if "$with_sendme" && "$install" && [ -z "$sendme" ]; then
  cargo install --locked --quiet --root "$work/cargo" sendme >&2
  sendme=$work/cargo/bin/sendme
fi
if [ -z "$bench" ]; then
  cargo build --release --quiet -p bittrickle-bench -p bittrickle-peer
  bench=$(realpath "${CARGO_TARGET_DIR:-target}/release/bittrickle-bench")
fi

# --- helpers ---

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# Waits until somebody listens at this port.
wait_for_port() {
  for _ in $(seq 500); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return; fi
    sleep 0.02
  done
  fail "nobody listens at port $1; $(tail -n 3 "$work"/*.log)"
}

# Starts a program that stays: NAME COMMAND…
start() {
  local name=$1
  shift
  "$@" >"$work/$name.log" 2>&1 &
  children+=($!)
}

add() { printf '%s\n' "$2" >>"$work/times/$1"; }

median() { sort -g "$1" | awk '{ line[NR] = $1 } END { print line[int(NR / 2) + 1] }'; }

# Times one transfer: NAME COMMAND…, which writes to $work/taken/content.
measure() {
  local name=$1 before after
  shift
  mkdir "$work/taken"
  # The last one's memory becomes free only now: what has been free for long is slow to get, on virtual machines.
  rm -rf "$work/aside"
  before=$(date +%s%N)
  "$@" >"$work/client.log" 2>&1 || fail "$name: $(tail -n 5 "$work/client.log")"
  after=$(date +%s%N)
  cmp "$work/shared/content" "$work/taken/content" || fail "$name has brought something else"
  mv "$work/taken" "$work/aside"
  seconds=$(awk -v ns=$((after - before)) 'BEGIN { printf "%.3f", ns / 1e9 }')
  say "$name: $seconds s"
  add "$name" "$seconds"
}

# --- who sends ---

serve_nginx() {
  http=$(free_port) https=$(free_port)
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost \
    -addext subjectAltName=IP:127.0.0.1 -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
  cat >"$work/nginx.conf" <<END
daemon off;
pid $work/nginx.pid;
error_log stderr;
$([ "$(id -u)" -ne 0 ] || echo "user root;")
worker_processes auto;
events {}
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  $(for kind in client_body proxy fastcgi uwsgi scgi; do echo "${kind}_temp_path $work/nginx-$kind;"; done)
  root $work/shared;
  server { listen 127.0.0.1:$http; }
  server {
    listen 127.0.0.1:$https ssl;
    ssl_protocols TLSv1.3;
    ssl_certificate $work/cert.pem;
    ssl_certificate_key $work/key.pem;
  }
}
END
  start nginx nginx -p "$work" -e stderr -c "$work/nginx.conf"
  wait_for_port "$http"
}

serve_rsync() {
  rsync_port=$(free_port)
  cat >"$work/rsyncd.conf" <<END
use chroot = no
uid = $(id -u)
gid = $(id -g)
reverse lookup = no
[shared]
path = $work/shared
END
  start rsync rsync --daemon --no-detach --address 127.0.0.1 --port "$rsync_port" --config "$work/rsyncd.conf"
  wait_for_port "$rsync_port"
}

readonly ARIA2=(aria2c --no-conf --enable-dht=false --enable-peer-exchange=false --bt-enable-lpd=false
  --disable-ipv6 --file-allocation=none --summary-interval=0 --console-log-level=warn)

# A torrent, a tracker that knows one peer, and this peer.
serve_aria2() {
  local tracker seeder
  tracker=$(free_port) seeder=$(free_port)
  python3 - "$work/shared/content" "$work/content.torrent" "$tracker" <<'END'
import hashlib, os, sys

path, torrent, tracker = sys.argv[1:]
PIECE_BYTES = 1 << 20


def bencoded(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, dict):
        return b"d" + b"".join(bencoded(key) + bencoded(value[key]) for key in sorted(value)) + b"e"
    return b"%d:" % len(value) + value


with open(path, "rb") as file:
    pieces = b"".join(hashlib.sha1(piece).digest() for piece in iter(lambda: file.read(PIECE_BYTES), b""))
info = {b"length": os.path.getsize(path), b"name": b"content", b"piece length": PIECE_BYTES, b"pieces": pieces}
with open(torrent, "wb") as file:
    file.write(bencoded({b"announce": b"http://127.0.0.1:%s/announce" % tracker.encode(), b"info": info}))
END
  cat >"$work/tracker.py" <<'END'
import http.server, socket, sys

tracker, seeder = map(int, sys.argv[1:])
PEER = socket.inet_aton("127.0.0.1") + seeder.to_bytes(2, "big")


class Tracker(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"d8:intervali1800e5:peers6:" + PEER + b"e")


http.server.ThreadingHTTPServer(("127.0.0.1", tracker), Tracker).serve_forever()
END
  start tracker python3 "$work/tracker.py" "$tracker" "$seeder"
  wait_for_port "$tracker"
  start seeder "${ARIA2[@]}" --dir "$work/shared" --listen-port "$seeder" --bt-seed-unverified=true --seed-ratio=0 \
    "$work/content.torrent"
  wait_for_port "$seeder"
}

readonly SENDME=(--relay disabled --magic-ipv4-addr 127.0.0.1:0 --no-progress)

# Prints its ticket when it is ready. It keeps its store where it stands.
serve_sendme() {
  (cd "$work" && exec "$sendme" send "${SENDME[@]}" shared/content) >"$work/sendme.log" 2>&1 </dev/null &
  children+=($!)
  for _ in $(seq 3000); do
    ticket=$(grep -o 'blob[a-z0-9]*' "$work/sendme.log" | head -n 1 || true)
    if [ -n "$ticket" ]; then return; fi
    sleep 0.02
  done
  fail "sendme gives no ticket: $(tail -n 3 "$work/sendme.log")"
}

# --- who takes ---

take_http() { curl -sS -o "$work/taken/content" "http://127.0.0.1:$http/content"; }
take_https() { curl -sS --tlsv1.3 --cacert "$work/cert.pem" -o "$work/taken/content" "https://127.0.0.1:$https/content"; }
take_rsync() { rsync "rsync://127.0.0.1:$rsync_port/shared/content" "$work/taken/content"; }
take_aria2() { "${ARIA2[@]}" --dir "$work/taken" --listen-port "$(free_port)" --seed-time=0 "$work/content.torrent"; }
take_sendme() { (cd "$work/taken" && "$sendme" receive "${SENDME[@]}" "$ticket" </dev/null); }

# The floor and ours come from the benchmark, in one run.
measure_bench() {
  local floors=
  [ -x "$(dirname "$bench")/bittrickle" ] || floors=--floors
  # shellcheck disable=SC2086
  "$bench" transfer file-1gib $floors --rounds 1 --json 2>>"$work/bench.log" >"$work/bench.json" \
    || fail "the benchmark: $(tail -n 3 "$work/bench.log")"
  value() { python3 -c 'import json, sys
for line in map(json.loads, open(sys.argv[1])):
    if line["name"] == sys.argv[2]: print(line["value"])' "$work/bench.json" "$1"; }
  add plain "$(value transfer.file.1gib.plain)"
  if [ -z "$floors" ]; then add bittrickle "$(value transfer.file.1gib)"; fi
  say "plain: $(tail -n 1 "$work/times/plain") s; bittrickle: $(tail -n 1 "$work/times/bittrickle" 2>/dev/null) s"
}

# --- all of it ---

mkdir "$work/times" "$work/shared"
head -c "$((MIB * 1024 * 1024))" /dev/urandom >"$work/shared/content"
# Whoever becomes another user may read it.
chmod 755 "$work" "$work/shared"
tools=()
if command -v nginx >/dev/null && command -v curl >/dev/null; then serve_nginx; tools+=(http https); fi
if command -v rsync >/dev/null; then serve_rsync; tools+=(rsync); fi
if command -v aria2c >/dev/null; then serve_aria2; tools+=(aria2); fi
if "$with_sendme" && [ -n "$sendme" ]; then serve_sendme; tools+=(sendme); fi

for round in $(seq "$rounds"); do
  say "round $round of $rounds"
  measure_bench
  for tool in "${tools[@]}"; do measure "$tool" "take_$tool"; done
done

described() {
  case $1 in
    plain) echo "bare TCP: sendfile, read, write" ;;
    bittrickle) echo "bittrickle get: sealed, verified" ;;
    http) echo "nginx and curl: HTTP" ;;
    https) echo "nginx and curl: TLS 1.3" ;;
    rsync) echo "rsync daemon: in clear" ;;
    aria2) echo "aria2: BitTorrent, SHA-1, in clear" ;;
    sendme) echo "sendme: QUIC, BLAKE3" ;;
  esac
}
floor=$(median "$work/times/plain")
printf '%-36s %8s %6s\n' "1 GiB, file to file, over loopback" seconds ratio
for tool in plain bittrickle http https rsync aria2 sendme; do
  if [ -f "$work/times/$tool" ]; then
    seconds=$(median "$work/times/$tool")
    printf '%-36s %8.2f %6.2f\n' "$(described "$tool")" "$seconds" "$(awk "BEGIN { print $seconds / $floor }")"
  elif [ "$tool" != sendme ] || "$with_sendme"; then
    printf '%-36s %8s\n' "$(described "$tool")" "missing"
  fi
done
