/* placer.h - files from clips/ to delivery/, whole and with the hash that they were finished with; a batch of them is published by one sync.
 *
 * A file shares its bytes with the one in clips/ where the file system can do that: deliver.h. */
#ifndef REELWRIGHT_PLACER_H
#define REELWRIGHT_PLACER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clip.h"
#include "coordinator/deliver/twins.h"

enum { PLACER_CLIPS = 512, PLACER_FILES = PLACER_CLIPS * CLIP_MAX_FILES };

typedef struct {
    const char *from, *to; /* DIR, DIR/delivery; borrowed */
    bool thorough;         /* what lies there is read and compared, too */
    bool cannot_clone, cannot_link;
    Twins *twins;
    char *draft[PLACER_FILES], *path[PLACER_FILES];
    int file_count;
    int64_t bytes; /* of the batch */
    int mended;    /* files that were missing or damaged, and are there again */
} Placer;

/* Adds one file to the batch; `relative` is its path in both folders. delivered: the file was delivered before, and is put back if it is missing
 * there. ERR_CLIP: the file is damaged, and the delivered one too, which is then deleted. ERR_NODE: it cannot be read now. */
Status placer_settle(Placer *l, const char *relative, const char *sha256, bool delivered);
Status placer_publish(Placer *l); /* all of the batch: they are on disk */
/* Forgets the batch's files from this one on. */
void placer_drop(Placer *l, int from, bool unlink_drafts);
/* Takes the files from `from` to before `to` out of the batch, with their drafts; those after them move up. */
void placer_take_out(Placer *l, int from, int to);
/* What leaves the house may be read by whoever gets it, though the folder around it is the owner's. */
Status placer_open_folder(const char *folder);

#endif
