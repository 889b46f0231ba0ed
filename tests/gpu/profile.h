/* profile.h - which ways the back end took, and time by op: every call of its table between two events. Calls still follow each other without the
 * host waiting; the events are read when the back end is waited for. */
#ifndef REELWRIGHT_TESTS_GPU_PROFILE_H
#define REELWRIGHT_TESTS_GPU_PROFILE_H

#include <stdbool.h>

/* Of back ends that are opened from now on: a JSON line with their notes when they close, and with `times` their times. */
void profile_begin(bool times);
void profile_print(
    int evaluations); /* one JSON line per op and shape: milliseconds per evaluation, the longest first */

#endif
