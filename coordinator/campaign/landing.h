/* landing.h - `page: landing.html`, a static page for each clip: the user's HTML with {{columns}} of the row and {{clip.player}} and
 * what else a clip can say of itself (common/page.h).
 *
 * A value is text: whatever a name holds, it makes no element, ends no attribute and begins no script. As the beginning of an address it may
 * be http, https, mailto, tel or relative; further on in an address it is %-encoded. What is not safe in any writing (a value inside a
 * script) is a fault, with its line in the page. Comments stay as they are. */
#ifndef REELWRIGHT_LANDING_H
#define REELWRIGHT_LANDING_H

#include <jansson.h>

#include "coordinator/campaign/load.h"

enum { LANDING_MAX_BYTES = 256 << 10, LANDING_MAX_VALUES = 500 };

/* Reads the page; faults go to l->faults. NULL: the campaign has none. Borrows l. */
Landing *landing_new(CampaignLoad *l);
void landing_free(Landing **p);
/* What is wrong with one row. NULL is fine, as below. */
void landing_check(Landing *p, int64_t row);

/* "page" of the campaign's document, "page_values" of a row's (NULL: it has none); the caller's. */
json_t *landing_document(const Landing *p);
json_t *landing_values(Landing *p, int64_t row);
/* The templates of its values, one after the other; NULL at the end. */
const Template *landing_template(const Landing *p, int i);

#endif
