/* audit.h - DIR/audit.jsonl: what was decided in a campaign, and by whom, as a chain (trust/chain.h) that `verify DIR` checks: rows that were
 * refused, consents that were used, revocations, erasures, deliveries. Reviewers' decisions are in the ledger (ledger/review.h).
 *
 * Where the campaign has a key for its credentials (`keys init`), every append seals the chain's head with it: whoever writes the chain anew
 * needs that key, which may be kept where the folder is not. A command that signs in its place is asked twice a minute at most, and by audit_close
 * for what came since: after a kill the last lines are not sealed before somebody writes again. Without a key the chain shows what was changed by accident, or by somebody who
 * did not change the rest with it.
 *
 * It can only grow, so it must hold nothing that somebody may want erased: clips and people stand in it as the HMAC of their ids with a
 * key of the campaign's own (audit.key, 0600; that of a part lies with the whole). Who has the id finds its lines; who has the line does not find
 * the id. Words of a reviewer stand in it without the cells of the customer's row, and as their HMAC.
 *
 * A reviewer's decision is in the ledger first. Its line carries the ledger's number, so that whoever comes next after a kill writes those
 * that are missing, each once. The chains of a campaign's parts are kept as audit.I-of-N.jsonl; a line of the whole's says what they were. */
#ifndef REELWRIGHT_AUDIT_H
#define REELWRIGHT_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "coordinator/ledger/view.h"
#include "trust/chain.h"

typedef struct Audit Audit;

Status audit_open(const char *folder, Audit **out);
void audit_close(Audit **a); /* what was not flushed is lost; what was flushed is sealed */

/* {"what": what, "clip": token of clip_id, ...}; clip_id NULL: none. The rest is json_pack's, "{s:i}" and so on; NULL: nothing. Kept
 * until audit_flush. */
void audit_add(Audit *a, const char *what, const char *clip_id, const char *pack, ...);
/* Writes what was added, in one piece. */
Status audit_flush(Audit *a, double now_s);
void audit_drop(Audit *a); /* what was added has not happened */

/* Reviewers' decisions that the chain does not hold yet: {"what":"review","verb","by","reason","decision",...}; "gate" where no person
 * but a gate had it rendered again. */
Status audit_take_decisions(Audit *a, Ledger *l, double now_s);
/* The same, of a folder's chain, opened and closed here; nothing is opened where nobody has decided anything. */
Status audit_catch_up(Ledger *l, double now_s);
/* Notes the chain of a part, which lies at DIR/audit.PART.jsonl, once; `l` is the whole's ledger, with the part's decisions in it. */
Status audit_take_part(Audit *a, Ledger *l, const char *part, double now_s);
/* Reads the chains of the parts and of the whole, and checks all of them. sink.line may be NULL. */
Status audit_read(const char *folder, TrustChainSink sink, TrustChain *out);
/* Whether such a line about this clip is there. */
Status audit_has(const Audit *a, const char *what, const char *clip_id, bool *yes);

typedef enum {
    AUDIT_ABSENT,
    AUDIT_WHOLE,  /* every line as it was written */
    AUDIT_SEALED, /* and so says the campaign's key */
    AUDIT_UNSEALED, /* whole, and not sealed although the campaign has a key: written by somebody else, or where the key cannot be read */
    AUDIT_BROKEN
} AuditState;
const char *audit_state_name(AuditState s); /* "whole" for both of the good ones */
/* Reads all of it; the sink may be {0}. why: of the last two; to be freed, else NULL. */
AuditState audit_check(const char *folder, TrustChainSink sink, TrustChain *chain, char **why);

enum { AUDIT_TOKEN = 25 };
/* How an id stands in it. */
void audit_token(const Audit *a, const char *id, char token[AUDIT_TOKEN]);

#endif
