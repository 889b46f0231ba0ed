/* bench_campaign.h - a campaign of any size, as a user would have it: a YAML file and a customers table. */
#ifndef REELWRIGHT_TESTS_FARM_BENCH_CAMPAIGN_H
#define REELWRIGHT_TESTS_FARM_BENCH_CAMPAIGN_H

#include <stdint.h>

#include "common/status.h"

typedef struct {
    int64_t rows;
    int share; /* so many rows have the same prompt and seed, and share their shot */
    int steps;
} CampaignSize;

/* Writes FOLDER/scale.yaml and FOLDER/scale.csv; free() *file, the path of the first. */
Status bench_campaign_write(const char *folder, const char *model, CampaignSize size, char **file);

#endif
