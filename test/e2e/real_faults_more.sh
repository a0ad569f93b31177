#!/bin/bash
# not in make check: `make check-faults` runs it, which takes two minutes on a quiet machine.
# The comparison of real_faults.sh for more programs: shells, filters, archivers, a compiler.
exec "$(dirname "$0")/real_faults.sh" more "$@"
