#!/bin/sh
# Takes vmm's arguments and goes on as the test `child_process` of the binary that started it.
# (A script made by a test could still be open for writing in another test's fork, and not be run.)
VMM_TEST_CHILD="$*" exec "/proc/$PPID/exe" --exact control::spawn::child_process --ignored >/dev/null
