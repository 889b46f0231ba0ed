/* part.h - a campaign that several runs share: part I of N renders every N-th shot, with all of its clips.
 *
 *   DIR/clips, latents, logs   of all parts: file names are unique in the whole campaign
 *   DIR/watermark.key          likewise, made by the first part that needs it
 *   DIR/parts/I-of-N/          of one: ledger, lists, report, events; its clips/, latents/, logs/ and watermark.key are links to DIR's
 *
 * So a part is a campaign folder like any other, with its own one writer, and `merge` has little to move: it makes one ledger
 * of the parts' (ledger/merge.h) and leaves the folder that a run of the whole campaign would have left. */
#ifndef REELWRIGHT_PART_H
#define REELWRIGHT_PART_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

enum { PARTS_MAX = 1000 };

typedef struct {
    int number, count; /* 2/4; count 0 or 1: the whole */
} Part;

/* "2/4". ERR_INPUT: not of that form, or not within it. */
Status part_parse(const char *text, Part *out);
/* Whether the shot (or the row of a refused clip) with this number in the plan belongs to it. */
static inline bool part_has(Part p, int64_t number) { return p.count <= 1 || number % p.count == p.number - 1; }
char *part_folder(const char *folder, Part p); /* "DIR/parts/2-of-4"; free() it */
/* Makes that folder. ERR_INPUT: DIR holds the whole campaign, or another number of parts. */
Status part_open(const char *folder, Part p);
/* How many parts DIR is divided into; 0: none. */
Status part_count(const char *folder, int *count);

/* parts: into how many a campaign is going to be divided, 1: not at all. ERR_INPUT: the folder has it divided otherwise. */
Status part_check(const char *folder, int parts);

#endif
