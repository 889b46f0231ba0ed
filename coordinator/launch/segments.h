/* segments.h - the shared memory that killed ranks leave behind: Open MPI's sm_segment.HOST.USER.JOB.RANK, 16 MB each, which nobody
 * removes when a rank is killed and its job ended. */
#ifndef REELWRIGHT_SEGMENTS_H
#define REELWRIGHT_SEGMENTS_H

/* Removes those in `folder` (/dev/shm) that are this user's, of this machine, at least least_age_s old, and mapped by no process. */
int segments_sweep(const char *folder, double least_age_s);

#endif
