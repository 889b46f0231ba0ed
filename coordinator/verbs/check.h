/* check.h - what a campaign would do, for people and for programs. Nothing is rendered and nothing is written. */
#ifndef REELWRIGHT_CHECK_H
#define REELWRIGHT_CHECK_H

#include <stdio.h>

#include "coordinator/campaign/length.h"

typedef struct {
    int64_t refused; /* clips that will not be made */
    int64_t shared;  /* clips that need no render of their own */
    int64_t videos;  /* files: clips times renditions */
    CampaignLength length;
    int least_parts, most_parts; /* that a shot is made in, where the model speaks */
    double duration_s;           /* of one clip; their mean where they differ */
    double video_bytes;          /* of all videos: see check.c on how far to trust it */
    double
        picture_bytes; /* of stills and contact sheets, roughly; what is delivered shares its bytes with what is in clips/ */
    double latents_bytes; /* of the checkpoints of all finished shots; exact but for HDF5's 2 kB each */
} CheckSummary;

void check_summarise(const Campaign *c, CheckSummary *out);
void check_print(const Campaign *c, FILE *to);
void check_print_json(const Campaign *c, FILE *to);

#endif
