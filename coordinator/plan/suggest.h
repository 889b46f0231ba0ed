/* suggest.h - between the files that look for something cheaper: the same night with something else, by the same chances. */
#ifndef REELWRIGHT_SUGGEST_H
#define REELWRIGHT_SUGGEST_H

#include "coordinator/plan/estimate.h"

struct SuggestBase {
    double now_s;    /* the plan's p50 */
    double median_s; /* of the few nights that are played to compare */
};

SuggestBase suggest_base(const Estimate *p);
/* When this night would be done, where the plan's is done at now_s. */
double suggest_time(const SuggestBase *b, const Night *with);

#endif
