#!/bin/bash
# not in make check: `make check-faults` runs it, which takes two minutes on a quiet machine.
# The comparison of real_faults.sh for more programs (shells, filters, archivers, a compiler), and for three
# that work for a second: a compiler, a join of tables, a parser.
more=0 large=0
"$(dirname "$0")/real_faults.sh" more "$@" || more=$?
"$(dirname "$0")/real_faults.sh" large "$@" || large=$?
exit $((more | large))
