/* variants.h - `variants: {cta: {A: Book now, B: See more}}`: texts of which each row has one, for a test of which does better. */
#ifndef REELWRIGHT_VARIANTS_H
#define REELWRIGHT_VARIANTS_H

#include "coordinator/campaign/load.h"

/* Before templates are compiled: the arm of each variant becomes a column that templates can name. Faults: a variant called like a
 * column, or beyond CUSTOMERS_MAX_COLUMNS with the customers' own. */
void variants_add(CampaignLoad *l);
/* Which arm a row has: by the hash of variant and id, so it stays when rows come and go. arms: at least 1. */
int variants_arm(const char *variant, const char *id, int arms);
/* "cta=A" of a row, or "cta=A,colour=B"; NULL without variants. free() it. */
char *variants_text(const CampaignLoad *l, int64_t row);

#endif
