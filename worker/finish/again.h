/* again.h - a clip that is made of the same master by the same documents as the last one has the same files: they become further
 * names of those (hard links), and nothing is encoded again. Only where nothing of the clip's own is in its files: no document of its
 * own, and no key that is another for each clip. */
#ifndef REELWRIGHT_AGAIN_H
#define REELWRIGHT_AGAIN_H

#include <sys/stat.h>

#include "worker/finish/finish.h"

typedef struct { /* zero: nothing is remembered */
    char key[HASH_TEXT];
    char *finish, *stem;
    ClipResult clip;
    struct stat *file; /* [clip.name_count], as they were written: moving them changes none of what is compared */
} FinishAgain;

void finish_again_clear(FinishAgain *a);
void finish_again_remember(FinishAgain *a, const Lease *l, const FinishJob *job, const ClipResult *clip);
/* True: the clip's files are in job->folder, and *out says so. */
bool finish_again(const FinishAgain *a, const Lease *l, const FinishJob *job, ClipResult *out);

#endif
