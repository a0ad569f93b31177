#!/bin/bash
# The comparison of real_faults.sh for more programs: shells, filters, archivers, a compiler.
exec "$(dirname "$0")/real_faults.sh" more "$@"
