/* profile.h - time by op: every call of the back end's table between two events. Calls still follow each other without the
 * host waiting; the events are read when the back end is waited for. */
#ifndef REELWRIGHT_TESTS_GPU_PROFILE_H
#define REELWRIGHT_TESTS_GPU_PROFILE_H

void profile_begin(void); /* back ends that are opened from now on */
void profile_print(
    int evaluations); /* one JSON line per op and shape: milliseconds per evaluation, the longest first */

#endif
