#!/usr/bin/env bash
# Install what Cumulet and its tests need and this machine lacks: Debian packages by apt, Python packages into .venv.
set -euo pipefail
cd "$(dirname "$0")"
stamp=.venv/.installed
want=$(cat requirements.txt packages.txt pyproject.toml setup.sh | sha256sum | cut -d' ' -f1)
[[ -f $stamp && $(<"$stamp") == "$want" ]] && exit 0

missing=()
while read -r package; do
  [[ -z $package || $package == \#* ]] && continue
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done <packages.txt
if ((${#missing[@]})); then
  if ((EUID)); then
    echo "These Debian packages are missing; install them as root and run this again:" >&2
    echo "  apt-get install ${missing[*]}" >&2
    exit 1
  fi
  echo "setup: installing ${#missing[@]} Debian packages: ${missing[*]}"
  apt-get update -qq
  # Some are servers, of which the tests start their own: installing one does not start it, unless this machine has rules for that.
  rules=/usr/sbin/policy-rc.d
  if [[ ! -e $rules ]]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    install -m 0755 /dev/stdin "$rules" <<<$'#!/bin/sh\nexit 101'
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" >/dev/null
  if trap -p EXIT | grep -q policy-rc.d; then
    rm -f "$rules"
    trap - EXIT
  fi
fi

# The control plane runs as a user of its own, who must be able to read the interpreter: the system's, where it is new enough.
python=/usr/bin/python3
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || python=$(command -v python3)
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "setup: Python 3.11 or newer is needed" >&2; exit 1; }
if [[ ! -x .venv/bin/python || $(readlink -f .venv/bin/python) != $(readlink -f "$python") ]]; then
  echo "setup: making .venv with $python"
  "$python" -m venv --clear .venv
fi
# The page with a guest's screen is noVNC's. Of its package the files alone: it depends on Node.js and fifty more.
if [[ ! -e /usr/share/novnc/vnc_lite.html ]]; then
  echo "setup: unpacking noVNC"
  unpacked=$(mktemp -d)
  trap 'rm -rf "$unpacked"' EXIT
  fetch() { (cd "$unpacked" && apt-get download -qq -o APT::Sandbox::User=root novnc >/dev/null 2>&1); }
  if fetch || { ((!EUID)) && apt-get update -qq && fetch; }; then
    dpkg-deb -x "$unpacked"/novnc_*.deb "$unpacked"
    mkdir -p .venv/share
    rm -rf .venv/share/novnc
    cp -r "$unpacked/usr/share/novnc" .venv/share/novnc
  else
    echo "setup: noVNC could not be fetched: consoles have no page until \`apt-get install novnc\`" >&2
  fi
fi
echo "setup: installing Python packages"
.venv/bin/pip install -q --disable-pip-version-check -r requirements.txt
.venv/bin/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
echo "$want" >"$stamp"
