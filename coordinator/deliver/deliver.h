/* deliver.h - what leaves the house: DIR/delivery/ holds every approved clip, verified, under the paths that the list names.
 *
 * A delivered file shares its bytes with the one in clips/ where the file system can do that (a clone, else a hard link), also among
 * clips that are equal; elsewhere it is a copy. Clones and
 * copies are 0644; a hard link has the mode of the clip, 0600, for it is the clip. */
#ifndef REELWRIGHT_DELIVER_H
#define REELWRIGHT_DELIVER_H

#include "coordinator/ledger/view.h"

typedef struct {
    const char *host; /* of this process: its epoch, which begins when something is to be written, is signed with it */
    bool thorough;    /* read and compare what was delivered before, too; else its presence and size are looked at */
    bool tell_only;   /* copies nothing: who was told of what is withdrawn since hears of that */
    bool nothing_new; /* delivers no clip that was not delivered before */
    bool files_only;  /* uploads nothing, tells nobody: a clip that is to be uploaded stays approved */
} DeliverOptions;

typedef struct {
    int64_t delivered, bytes; /* this time */
    int64_t restored;         /* delivered before, and not there any more, or damaged: there again */
    int64_t unread;           /* they cannot be read now (the disk refuses): left as they are */
    int64_t withheld;         /* they are in the suppression list */
    int64_t not_uploaded;     /* they stay approved; the next delivery uploads them alone */
    int64_t untold;           /* delivered, but the webhook did not take it: the next delivery tells of them */
    int64_t withdrawn;        /* who had got them has taken now that they are withdrawn */
    int64_t not_withdrawn; /* withdrawn, but upload or webhook did not take that; the next delivery tells them again */
    int64_t lost;          /* their files are missing or damaged: they are planned again, and a run makes them */
} Delivery;

/* A clip whose files are damaged costs nobody else anything: the others are delivered, it is planned again with the reason in the list,
 * and what is damaged leaves delivery/. ERR_CLIP: there were such clips, or some were not
 * uploaded or not told of (handover.h); it names the first.
 * ERR_NODE: files could not be read; all that could be is delivered. */
Status deliver_clips(Ledger *l, const DeliverOptions *o, Delivery *out);

#endif
