#!/bin/sh
# What has to hold before a change of the guest list is merged.
set -eu
cd "$(dirname "$0")"
guestlist policy fmt --check .
guestlist policy check .
guestlist policy test .
