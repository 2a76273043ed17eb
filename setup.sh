#!/usr/bin/env bash
# Install what Cumulet and its tests need and this machine lacks: Debian packages by apt, Python packages into .venv.
set -euo pipefail
cd "$(dirname "$0")"
stamp=.venv/.installed
want=$(cat requirements.txt packages.txt pyproject.toml | sha256sum | cut -d' ' -f1)
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
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" >/dev/null
fi

[[ -x .venv/bin/python ]] || { echo "setup: making .venv"; python3 -m venv .venv; }
echo "setup: installing Python packages"
.venv/bin/pip install -q --disable-pip-version-check -r requirements.txt
.venv/bin/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
echo "$want" >"$stamp"
