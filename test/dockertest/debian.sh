#!/bin/bash
# debian.sh OUT.tar: makes the root file system of Debian bookworm as a tar,
# small, from Debian's own packages. Needs root and debootstrap. The packages
# come from where this machine's apt gets them, or from debootstrap's default.
set -euo pipefail

out=$1
work=$out.work
rm -rf "$work"
mkdir "$work"
trap 'rm -rf "$work" "$out.part"' EXIT

mirror=$(apt-get indextargets --format "\$(REPO_URI)" \
	'Created-By: Packages' 'Release: bookworm' 'Component: main' 2>/dev/null | head -n 1 || true)

# procps for ps; busybox-static for wget, nc and vi, under that name only.
debootstrap --variant=minbase --include=procps,busybox-static bookworm "$work" ${mirror:+"$mirror"}

rm -rf "$work"/var/cache/apt/* "$work"/var/lib/apt/lists/* "$work"/var/log/* \
	"$work"/usr/share/{doc,man,info,locale}/* "$work"/proc/* "$work"/sys/* "$work"/run/*
: >"$work/etc/machine-id"
rm -f "$work/etc/resolv.conf" "$work/etc/hostname"

tar --numeric-owner --one-file-system -C "$work" -cf "$out.part" .
mv "$out.part" "$out"
