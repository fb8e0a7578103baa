# What the set-up needs of the machine; sourced by `setup`, `doctor` and others.
#
# One row per need: name | Debian package (or how to get it) | for what. A need is met where its function
# `has_NAME` succeeds; those of `required` stop the set-up, those of `optional` only some targets.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
deps=${LEITMOTIF_DEPS:-$root/.deps}
python=${PYTHON:-python3}

required="
rust | the installer on rust-lang.org (rustup); Debian's own is too old | Rust and Cargo 1.92 or later
cxx | g++ | a C++ compiler for libtorch's shim
make | make | the targets
python | python3 | Python 3.11 to 3.14, for wheels and checks
pip | python3-pip | pip, to fetch wheels
disk | - | 8 GB of free space in the checkout
"
optional="
ffmpeg | ffmpeg | the decoder that ours is compared with (make test, make check-all)
node | nodejs | Node 20 or later, for the page and the checks in a browser (make web, make check-all)
npm | npm | to fetch what the page is built of, and that browser (make web, make check-all)
aptget | apt | to fetch the demo's music (make demo without MUSIC)
dpkgdeb | dpkg | to unpack the demo's music (make demo without MUSIC)
"

have() { command -v "$1" >/dev/null 2>&1; }
# Whether version $1 is at least $2.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

has_rust() { have rustc && have cargo && at_least "$(rustc --version | cut -d' ' -f2)" 1.92; }
has_cxx() { have "${CXX:-c++}"; }
has_make() { have make; }
has_python() { "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; }
has_pip() { "$python" -c 'import importlib.util, sys; sys.exit(not importlib.util.find_spec("pip"))' 2>/dev/null; }
has_node() { have node && at_least "$(node --version | tr -d v)" 20; }
has_npm() { have npm; }
has_ffmpeg() { have ffmpeg; }
has_aptget() { have apt-get; }
has_dpkgdeb() { have dpkg-deb; }
has_driver() { have nvidia-smi || [ -e /dev/nvidia0 ] || ldconfig -p 2>/dev/null | grep -q 'libcuda\.so\.1'; }
# Once .deps is filled no more space is needed.
has_disk() {
    [ -e "$deps/site-packages/.installed" ] || [ "$(df -Pk "$root" | awk 'NR == 2 { print int($4 / 1048576) }')" -ge 8 ]
}

# The rows of a table that the machine lacks.
lacking() {
    local name package what
    while IFS='|' read -r name package what; do
        name=${name// /}
        [ -z "$name" ] || "has_$name" || printf '%s|%s|%s\n' "$name" "$package" "$what"
    done <<<"$1"
}

# The Debian packages of such rows: second columns of one word; a longer one is an explanation.
packages_of() { awk -F'|' '{ gsub(/^ +| +$/, "", $2); if ($2 ~ /^[a-z0-9.+-]+$/ && $2 != "-") print $2 }' <<<"$1"; }

print_lacking() { awk -F'|' '{ gsub(/^ +| +$/, "", $2); sub(/^ +/, "", $3); printf "  %-46s %s\n", $3, ($2 == "-" ? "" : "package: " $2) }' <<<"$1"; }
