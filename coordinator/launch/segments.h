/* segments.h - the shared memory that killed ranks leave behind: Open MPI's sm_segment.HOST.USER.JOB.RANK, 16 MB each, which nobody
 * removes when a rank is killed and its job ended. */
#ifndef REELWRIGHT_SEGMENTS_H
#define REELWRIGHT_SEGMENTS_H

enum { SEGMENTS_JOB = 512 };
/* What the names of a job's segments begin with, "sm_segment.HOST.USER.JOB.", read from what a process of it maps; "": it maps none. */
void segments_of(int pid, char job[SEGMENTS_JOB]);
/* Removes those in `folder` (/dev/shm) that are this user's, of this machine, mapped by no process, and at least least_age_s old, for a job that
 * begins makes its own before it maps them. Those of the job that has just ended ("": of none) whatever their age; *mapped: so many of them stay,
 * because a rank is still there. Returns how many it removed. */
int segments_sweep(const char *folder, double least_age_s, const char *job, int *mapped);

#endif
