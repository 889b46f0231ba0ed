/* length.h - how long a campaign's shots are. Where `frames` is "voice", each is as long as what is said in it (ShotSpec.frames_most): the worker
 * that has heard it knows. Until then a shot has the frames that `check` measured, or those that the letters of its text make likely. */
#ifndef REELWRIGHT_CAMPAIGN_LENGTH_H
#define REELWRIGHT_CAMPAIGN_LENGTH_H

#include "coordinator/campaign/campaign.h"

/* Of the longest shot that the campaign allows. */
double campaign_longest_s(const ShotSpec *base);
/* Likely frames of a shot that follows its voice, from the "voice" that it has. */
int campaign_likely_frames(const ShotSpec *s);

typedef struct {
    int least, most; /* frames of a shot */
    double mean;
} CampaignLength;
/* Of those that are planned; of the base where there are none. */
CampaignLength campaign_length(const Campaign *c);

#endif
