/* shot_file.h - what a file or a folder of pictures holds, as one hash: the coordinator takes it when it plans, a worker takes it
 * again before it renders, so that a picture that was changed in between makes no clip. */
#ifndef REELWRIGHT_SHOT_FILE_H
#define REELWRIGHT_SHOT_FILE_H

#include "common/hash.h"

/* SHA-256 of a regular file's content; of a folder, over the contents of its files in the order of shot_file_names. ERR_INPUT: missing, unreadable, or something else (a device, a pipe). Messages begin with
 * the path. */
Status shot_file_hash(const char *path, char sha256[HASH_TEXT]);

/* The names in a folder, without hidden ones and what file managers leave there, in the order of the numbers in them (1.png, 2.png,
 * 10.png, however many zeros stand before) and of their bytes; the list and each name are to be freed. */
Status shot_file_names(const char *folder, char ***name, int *count);
void shot_file_names_free(char **name, int count);

#endif
