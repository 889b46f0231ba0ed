/* diversity.h - do a campaign's clips look alike? The perceptual hashes that finishing measured (common/looks.h), shot against shot: for each
 * one how far the nearest other is, as a distribution, and the pairs that are near-duplicates. Clips of one shot look alike on purpose and count
 * once. With an index, the same against other campaigns. */
#ifndef REELWRIGHT_DIVERSITY_H
#define REELWRIGHT_DIVERSITY_H

#include <jansson.h>

#include "common/looks.h"
#include "coordinator/ledger/ledger.h"

/* most: no more shots than that are compared, evenly chosen by their keys; 0: all. index: a folder, or NULL.
 * {"campaign", "shots" (that are compared), "of" (that have hashes), "distance": {"p05", "p25", "p50", "p75", "p95"}, "near_duplicates",
 *  "pairs": [{"a", "b" (clips), "distance"}] (the nearest first, 50 at most),
 *  "others": {"shots", "distance", "near_duplicates", "pairs": [{"clip", "campaign", "shot", "distance"}]}}
 * distance: bits of 256 to the nearest other; null where there is none. near_duplicates: shots whose nearest is within PDQ_NEAR.
 * json_decref() it. */
Status diversity_measure(Ledger *l, int most, const char *index, json_t **out);
/* The campaign's own hashes into the index, for those that come after it. */
Status diversity_publish(Ledger *l, const char *index);

#endif
