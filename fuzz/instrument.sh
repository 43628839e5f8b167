#!/bin/sh
# The compiler for the crates of the workspace while they are fuzzed: coverage as `cargo fuzz` instruments it, with the
# code optimized a little, since an unoptimized target tries a tenth of the inputs.
case " $* " in
# A build script runs while building, and is linked without the fuzzer.
*" --crate-name build_script_build "*) exec "$@" ;;
esac
exec "$@" -Copt-level=1 -Ccodegen-units=4 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0
