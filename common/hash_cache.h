/* hash_cache.h - SHA-256 of large files, computed once: weights are read by every check, run and rank, and 14B of them take minutes.
 *
 * A file is known by its path, inode, size, and times of change (mtime and ctime, nanoseconds); whoever changes it changes its ctime. One
 * that changed in the last seconds is hashed and not remembered, for a clock has ticks. What is remembered lies in
 * $REELWRIGHT_CACHE/hashes, else $XDG_CACHE_HOME/reelwright/hashes, else ~/.cache/reelwright/hashes, for its owner alone; without such a
 * place, with an empty REELWRIGHT_CACHE, or with a file that others may write, everything is hashed. */
#ifndef REELWRIGHT_HASH_CACHE_H
#define REELWRIGHT_HASH_CACHE_H

#include <stdint.h>

#include "common/hash.h"
#include "common/status.h"

typedef struct HashCache HashCache;

HashCache *hash_cache_open(void);
/* As hash_file. */
Status hash_cache_file(HashCache *c, const char *path, char hash[HASH_TEXT]);
int64_t hash_cache_bytes_read(const HashCache *c); /* of the files that were hashed */
/* Writes what is new, whole or not at all; a cache that cannot be written is none. */
void hash_cache_close(HashCache **c);

#endif
