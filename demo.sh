#!/usr/bin/env bash
# The whole journey on a running cloud, by the released openstack client, told step by step; all of it is taken away again.
# Usage: demo.sh DATA-DIRECTORY
set -euo pipefail
cd "$(dirname "$0")"
data=${1:?usage: demo.sh DATA-DIRECTORY}
[[ -r $data/clouds.yaml ]] || { echo "demo: there is no $data/clouds.yaml: start a cloud with \`make up\`" >&2; exit 1; }
venv=build/demo-venv
client=python-openstackclient==10.5.0
[[ -x $venv/bin/openstack && $(cat "$venv/.client" 2>/dev/null) == "$client" ]] || {
  echo "demo: installing $client into $venv"
  .venv/bin/python -m venv --clear "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check -c requirements.txt "$client"
  echo "$client" >"$venv/.client"
}
PATH=$PWD/$venv/bin:$PATH
export OS_CLIENT_CONFIG_FILE=$data/clouds.yaml OS_CLOUD=cumulet-demo

name=demo-$(od -An -N3 -tx1 /dev/urandom | tr -d ' ')
work=$(mktemp -d)
undo=()
step=0
bold='' plain=''
if [[ -t 1 ]]; then bold=$'\e[1m' plain=$'\e[0m'; fi

tell() { step=$((step + 1)); printf '\n%s%d. %s%s\n' "$bold" "$step" "$*" "$plain"; }
show() { printf '$'; printf ' %q' "$@"; echo; "$@"; }
later() { undo=("$*" "${undo[@]}"); }
client_ssh() { ssh -i "$work/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=3 -o BatchMode=yes "guest@$address" "$@"; }
in_guest() { echo "guest$ $*"; client_ssh "$@"; }
until_true() { # SECONDS COMMAND...: try a command until it succeeds
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || { echo "demo: this did not come true in time: $*" >&2; return 1; }
    sleep 1
  done
}
is() { [[ $(openstack "$1" show "$2" -f value -c status) == "$3" ]]; } # KIND NAME STATUS

finish() {
  local status=$?
  trap - EXIT INT TERM
  set +e
  if ((status)); then echo "demo: step $step did not succeed" >&2; fi
  printf '\n%sTaking everything away again%s\n' "$bold" "$plain"
  for line in "${undo[@]}"; do show $line || status=1; done
  rm -rf "$work"
  ((status)) || echo "demo: $step steps in $SECONDS s"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

tell "What a new cloud has: images, flavors, a network that this machine reaches"
show openstack image list
show openstack flavor list
show openstack network list --external

tell "A key pair, a network of our own, and a router to the outside"
show openstack keypair create --private-key "$work/key" "$name" -f value -c fingerprint
later openstack keypair delete "$name"
chmod 600 "$work/key"
show openstack network create "$name" -f value -c id
later openstack network delete "$name"
show openstack subnet create "$name" --network "$name" --subnet-range 10.80.0.0/24 -f value -c allocation_pools
show openstack router create "$name" --external-gateway public -f value -c id
later openstack router delete "$name"
show openstack router add subnet "$name" "$name"
later openstack router remove subnet "$name" "$name"

tell "A security group that lets SSH and ping in"
show openstack security group create "$name" -f value -c id
later openstack security group delete "$name"
show openstack security group rule create "$name" --protocol tcp --dst-port 22 -f value -c id
show openstack security group rule create "$name" --protocol icmp -f value -c id

tell "A server, with a script that it runs when it first starts"
printf '#!/bin/sh\necho "%s was here" >/root/marker\n' "$name" >"$work/user-data"
later openstack server delete --wait "$name"
show openstack server create "$name" --image guest --flavor m1.tiny --network "$name" --key-name "$name" \
  --security-group "$name" --user-data "$work/user-data" --wait -f value -c status -c addresses

tell "A floating IP, by which it is reached from this machine"
address=$(openstack floating ip create public -f value -c floating_ip_address)
later openstack floating ip delete "$address"
show openstack server add floating ip "$name" "$address"
echo "waiting for SSH at $address"
until_true 120 client_ssh true

tell "In the guest: its name, what its script did, and what the metadata service tells it"
in_guest hostname
in_guest sudo cat /root/marker
in_guest wget -q -O - http://169.254.169.254/latest/meta-data/public-keys/

tell "A volume: attached while the server runs, formatted, written"
later openstack volume delete "$name"
show openstack volume create "$name" --size 1 -f value -c id
until_true 60 is volume "$name" available
show openstack server add volume "$name" "$name" -f value -c Device
until_true 60 client_ssh test -b /dev/vdb
in_guest sudo mke2fs -q /dev/vdb
in_guest "sudo mount -t ext2 /dev/vdb /mnt && echo precious | sudo tee /mnt/file && sudo umount /mnt"
show openstack server remove volume "$name" "$name"
until_true 60 is volume "$name" available

tell "A second server, made from a picture of the first, finds the data on the volume"
in_guest sync
later openstack image delete "$name"
show openstack server image create "$name" --name "$name" --wait -f value -c status
later openstack server delete --wait "$name-2"
show openstack server create "$name-2" --image "$name" --flavor m1.tiny --network "$name" --key-name "$name" \
  --security-group "$name" --wait -f value -c status
show openstack server add floating ip "$name-2" "$address"
show openstack server add volume "$name-2" "$name" -f value -c Device
until_true 120 client_ssh "hostname | grep -q 2"
until_true 60 client_ssh test -b /dev/vdb
in_guest sudo cat /root/marker
in_guest "sudo mount -t ext2 /dev/vdb /mnt && cat /mnt/file && sudo umount /mnt"
show openstack server remove volume "$name-2" "$name"
until_true 60 is volume "$name" available

tell "What the servers wrote to their consoles, and what happened to the first"
show openstack console log show "$name-2" --lines 5
show openstack server event list "$name"
show openstack server list
