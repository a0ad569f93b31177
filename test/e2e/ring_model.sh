#!/bin/bash
# The protocol of the ring under the model checker (test/spin/ring.pml); the whole of it is `make check-ring`.
here=$(cd "$(dirname "$0")/../spin" && pwd)
command -v spin > /dev/null || { echo "ok - the protocol of the ring # SKIP spin is not installed (tools/deps spin)"; exit 0; }
exec "$here/check"
