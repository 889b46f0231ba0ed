/* audit.h - DIR/audit.jsonl: what was decided in a campaign, and by whom, as a chain (trust/chain.h) that `verify DIR` checks: rows that were
 * refused, consents that were used, revocations, erasures, deliveries, reviewers' decisions.
 *
 * It can only grow, so it must hold nothing that somebody may want erased: clips and people stand in it as the HMAC of their ids with a
 * key of the campaign's own (audit.key, 0600). Who has the id finds its lines; who has the line does not find the id. */
#ifndef REELWRIGHT_AUDIT_H
#define REELWRIGHT_AUDIT_H

#include <stdint.h>

#include "common/status.h"

typedef struct Audit Audit;

Status audit_open(const char *folder, Audit **out);
void audit_close(Audit **a); /* what was not flushed is lost */

/* {"what": what, "clip": token of clip_id, ...}; clip_id NULL: none. The rest is json_pack's, "{s:i}" and so on; NULL: nothing. Kept
 * until audit_flush. */
void audit_add(Audit *a, const char *what, const char *clip_id, const char *pack, ...);
/* Writes what was added, in one piece. */
Status audit_flush(Audit *a, double now_s);
void audit_drop(Audit *a); /* what was added has not happened */

enum { AUDIT_TOKEN = 25 };
/* How an id stands in it. */
void audit_token(const Audit *a, const char *id, char token[AUDIT_TOKEN]);

#endif
