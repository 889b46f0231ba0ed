/* same_file.h - whether a file is still the one that was looked at: its place on the disk, its size and its time of change. */
#ifndef REELWRIGHT_SAME_FILE_H
#define REELWRIGHT_SAME_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

static inline bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

#endif
