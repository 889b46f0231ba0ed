/* events.h - DIR/events.jsonl: what happened, one JSON object per line, for people and programs that follow the campaign.
 *
 *     {"time":"2026-01-31T22:00:00.123Z","event":"clip.approved","campaign":"postcards","clip":"anna", ...}
 *
 * Lines are appended and fsynced once per dispatch round, after its commit: an event is never ahead of the ledger. After
 * the loss of a machine the last round's events may be missing; the ledger is the truth. */
#ifndef REELWRIGHT_EVENTS_H
#define REELWRIGHT_EVENTS_H

#include <jansson.h>

#include "common/status.h"

typedef struct Events Events;

Status events_open(const char *folder, const char *campaign, Events **out);
void events_close(Events **e);
/* Takes the reference to details (an object, or NULL). Kept in memory until events_flush. */
void events_add(Events *e, double time_s, const char *event, json_t *details);
void events_drop(Events *e); /* the round was not committed: its events have not happened */
Status events_flush(Events *e);

/* "2026-01-31T22:00:00.123Z" */
void events_time(double time_s, char text[32]);

#endif
