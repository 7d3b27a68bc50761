#!/usr/bin/env bash
# What other programs take to find names that contain some words, beside BitTrickle's index: the same names, the same texts,
# at most 64 hits each. One line a program: milliseconds, the bytes that it keeps for each name, and the hits that it finds.
# How to read it: docs/performance.md.
#
#   contrib/compare-search.sh [--names N] [--queries N] [--seed N] [--install] [--bench PATH]
#
#   --names N     so many names, from 1,000 to 10,000,000 (1,000,000)
#   --queries N   so many texts of three letters and more (5,000)
#   --seed N      other names and other texts for another number (1)
#   --install     get what is missing with apt-get; plocate's package also turns on its daily timer
#   --bench PATH  this bittrickle-bench instead of one that is built here
#
# What they do isn't quite the same. BitTrickle's hits are filled into a page that fits a datagram, which ends before the 64th
# where names are long; it also knows who is online. It keeps its index in memory, and its bytes are those
# of memory, with all that it knows of a publication. The others keep a database of nothing but names, which lies in memory
# as well where there is a tmpfs. plocate is a process for each text: what its start takes, with an empty database, has a
# line of its own. It is given the extension as one more text, which may stand anywhere. SQLite's FTS5 with trigrams is
# called in this script's own Python, once a text; words of one or two letters, of which it has no trigram, are compared with
# what it finds for the others, or with all names where there is no other.
#
# A program that is missing is passed over aloud. Everything is in a folder of its own, which is removed in the end.
set -euo pipefail
cd "$(dirname "$0")/.."

names=1000000 queries=5000 seed=1 install=false bench=
while [ $# -gt 0 ]; do
  case $1 in
    --names) names=$2; shift ;;
    --queries) queries=$2; shift ;;
    --seed) seed=$2; shift ;;
    --bench) bench=$(realpath "$2"); shift ;;
    --install) install=true ;;
    *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 2 ;;
  esac
  shift
done

say() { printf '%s\n' "$*" >&2; }
fail() { say "compare-search: $*"; exit 1; }

memory=/dev/shm
[ "$(stat -f -c %T "$memory" 2>/dev/null)" = tmpfs ] || memory=${TMPDIR:-/tmp}
work=$(mktemp -d "$memory/bittrickle-compare-search-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- what is needed ---

command -v python3 >/dev/null || fail "python3 is needed"
if "$install" && ! command -v plocate >/dev/null; then
  # RUNLEVEL: what is installed is not to start a service of its own.
  RUNLEVEL=1 apt-get install -y plocate >&2 || say "can't install plocate"
fi
if [ -z "$bench" ]; then
  cargo build --release --quiet -p bittrickle-bench
  bench=$(realpath "${CARGO_TARGET_DIR:-target}/release/bittrickle-bench")
fi
same=(search --names "$names" --queries "$queries" --seed "$seed")

# --- each of them writes a line: name, p50, p99, bytes a name, hits a text ---

line() { printf '%-44s %9s %9s %11s %6s\n' "$@"; }

# The index itself: its memory, and its answers.
measure_bittrickle() {
  "$bench" "${same[@]}" --json >"$work/bench.json" 2>"$work/bench.log" || fail "the benchmark: $(tail -n 3 "$work/bench.log")"
  grep -v '^published' "$work/bench.log" >&2
  python3 - "$work/bench.json" >"$work/bittrickle.line" <<'END_OF_PYTHON'
import json, sys

figures = {line["name"].split(".", 2)[2]: line["value"] for line in map(json.loads, open(sys.argv[1]))}
print("%.3f %.3f %.0f -" % (figures["p50"], figures["p99"], figures["bytes"]))
END_OF_PYTHON
}

# Starts plocate for each text: DATABASE BYTES
ask_plocate() {
  LC_ALL=C.UTF-8 python3 - "$(command -v plocate)" "$1" "$2" "$work" <<'END_OF_PYTHON'
import os, sys, time

program, database, bytes_per_name, work = sys.argv[1:]
LIMIT = "64"
hits, times = 0, []
out = os.path.join(work, "plocate.out")
to_file = [(os.POSIX_SPAWN_OPEN, 1, out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)]


def literal(text):
    return "".join("\\" + c if c in "\\*?[]" else c for c in text)


for line in open(os.path.join(work, "queries"), newline="\n"):
    text, _, extension = line.rstrip("\n").partition("\t")
    patterns = [literal(word) for word in text.split()] + ([literal("." + extension)] if extension else [])
    arguments = ["plocate", "-d", database, "-i", "-l", LIMIT, "--", *patterns]
    start = time.perf_counter()
    child = os.posix_spawn(program, arguments, os.environ, file_actions=to_file)
    _, status = os.waitpid(child, 0)
    times.append(time.perf_counter() - start)
    found = open(out, "rb").read().count(b"\n")
    # It ends with 1 where it finds nothing.
    if os.waitstatus_to_exitcode(status) not in ((0,) if found else (0, 1)):
        sys.exit("plocate fails for %r" % text)
    hits += found
times.sort()
part = lambda p: times[max(0, -int(-len(times) * p // 1) - 1)] * 1e3
print("%.3f %.3f %s %.1f" % (part(0.5), part(0.99), bytes_per_name, hits / len(times)))
END_OF_PYTHON
}

measure_plocate() {
  : >"$work/nothing"
  plocate-build --plaintext --require-visibility no "$work/names" "$work/plocate.db" >&2
  plocate-build --plaintext --require-visibility no "$work/nothing" "$work/empty.db" >&2
  ask_plocate "$work/plocate.db" $(($(stat -c %s "$work/plocate.db") / names)) >"$work/plocate.line"
  ask_plocate "$work/empty.db" - >"$work/plocate-empty.line"
  rm "$work/plocate.db"
}

measure_sqlite() {
  python3 - "$work" "$names" >"$work/sqlite.line" <<'END_OF_PYTHON'
import os, sqlite3, sys, time

work, count = sys.argv[1], int(sys.argv[2])
LIMIT = 64
path = os.path.join(work, "names.sqlite")
database = sqlite3.connect(path)
database.execute("PRAGMA journal_mode = OFF")
database.execute("CREATE VIRTUAL TABLE names USING fts5(name, tokenize = 'trigram')")
with database, open(os.path.join(work, "names"), newline="\n") as lines:
    database.executemany("INSERT INTO names VALUES (?)", ((line.rstrip("\n"),) for line in lines))
with database:
    database.execute("INSERT INTO names (names) VALUES ('optimize')")
database.execute("PRAGMA mmap_size = %d" % (1 << 34))


def quoted(word):
    return '"' + word.replace('"', '""') + '"'


def like(word):
    return "".join("\\" + c if c in "\\%_" else c for c in word)


def statement(text, extension):
    words = text.split()
    matched = [word for word in words if len(word) > 2] + (["." + extension] if extension else [])
    compared = ["%" + like(word) + "%" for word in words if len(word) < 3] + (["%." + like(extension)] if extension else [])
    conditions = ["names MATCH ?"] if matched else []
    conditions += ["name LIKE ? ESCAPE '\\'"] * len(compared)
    values = ([" AND ".join(map(quoted, matched))] if matched else []) + compared
    return "SELECT name FROM names WHERE %s LIMIT %d" % (" AND ".join(conditions or ["1"]), LIMIT), values


hits, times = 0, []
for line in open(os.path.join(work, "queries"), newline="\n"):
    text, _, extension = line.rstrip("\n").partition("\t")
    asked = statement(text, extension)
    start = time.perf_counter()
    found = database.execute(*asked).fetchall()
    times.append(time.perf_counter() - start)
    hits += len(found)
times.sort()
part = lambda p: times[max(0, -int(-len(times) * p // 1) - 1)] * 1e3
print("%.3f %.3f %d %.1f" % (part(0.5), part(0.99), os.path.getsize(path) // count, hits / len(times)))
END_OF_PYTHON
  rm "$work/names.sqlite"
}

# --- all of it ---

say "names and texts"
"$bench" "${same[@]}" --print-names >"$work/names"
"$bench" "${same[@]}" --print-queries >"$work/queries"
if command -v plocate >/dev/null && command -v plocate-build >/dev/null; then
  say "plocate"
  measure_plocate
else
  say "plocate is missing and passed over; --install gets it"
fi
# The tokenizer is in SQLite since 3.34.
if python3 -c 'import sqlite3, sys; sqlite3.connect(":memory:").execute("CREATE VIRTUAL TABLE t USING fts5(x, tokenize = trigram)")' 2>/dev/null; then
  say "SQLite"
  measure_sqlite
else
  say "this Python has no SQLite with FTS5 and trigrams: passed over"
fi
say "bittrickle"
measure_bittrickle

line "$names names, $queries texts" "p50 ms" "p99 ms" "bytes/name" hits
row() {
  if [ -f "$work/$1.line" ]; then
    # shellcheck disable=SC2046
    line "$2" $(cat "$work/$1.line")
  else
    line "$2" missing "" "" ""
  fi
}
row bittrickle "bittrickle's index: in memory"
row plocate "plocate: a process a text"
row plocate-empty "plocate with nothing to find: its start"
row sqlite "SQLite FTS5, trigrams: called in Python"
