/* audit.h - DIR/audit.jsonl, the record of what was decided in a campaign and by whom: rows that were refused, consents that were used,
 * revocations, erasures, deliveries, reviewers' decisions. It is a chain of hashes (trust/chain.h), and `verify DIR` checks it.
 *
 * The seal. Where the campaign has a key for its credentials (`keys init`), each append signs the last hash with that key. Nobody can then
 * write another chain without the key, and the key may be kept on another machine. A signing command in place of a key may be slow: it is
 * called twice a minute at most, and once more by audit_close. If the process is killed before that, the last lines stay unsealed until the
 * next append. Without a key the chain shows accidents, but not the work of somebody who writes the whole chain anew.
 *
 * No personal data. The record only grows, so nothing may stand in it that must be erased one day. In place of an id it holds the id's HMAC
 * under a key of the campaign (audit.key, 0600; all parts of a campaign use that of the whole): who knows an id finds its lines, and who
 * reads a line does not learn the id. A reviewer's reason is written without the cells of the customer's row, and as an HMAC.
 *
 * After a kill. A reviewer's decision is written into the ledger first (ledger/review.h). Its line here carries the ledger's number, so the
 * next process writes the missing lines, each once. The chains of a campaign's parts are kept as audit.I-of-N.jsonl, and a line in the
 * chain of the whole holds their last hashes. */
#ifndef REELWRIGHT_AUDIT_H
#define REELWRIGHT_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "coordinator/ledger/view.h"
#include "trust/chain.h"

typedef struct Audit Audit;

Status audit_open(const char *folder, Audit **out);
void audit_close(Audit **a); /* seals what was flushed; drops what was not */

/* Adds a line {"what": what, "clip": token of clip_id, ...} that audit_flush will write. clip_id NULL: without "clip". pack and what
 * follows are json_pack's, "{s:i}" and so on; NULL: no further members. */
void audit_add(Audit *a, const char *what, const char *clip_id, const char *pack, ...);
/* Appends the added lines to the chain, and forgets them. */
Status audit_flush(Audit *a, double now_s);
void audit_drop(Audit *a); /* the transaction was taken back: forgets the added lines */

/* Writes the ledger's decisions that the chain does not hold yet: {"what":"review","verb","by","reason","decision",...}. "what" is "gate"
 * where a gate, not a person, had the clip rendered again. */
Status audit_take_decisions(Audit *a, Ledger *l, double now_s);
/* The same without an open Audit. Does nothing where nobody has decided anything yet. */
Status audit_catch_up(Ledger *l, double now_s);
/* Writes a line about the chain of a part, DIR/audit.PART.jsonl, if there is none yet. `l` is the whole's ledger; the part's decisions
 * are in it already. */
Status audit_take_part(Audit *a, Ledger *l, const char *part, double now_s);
/* Reads the chains of the parts and of the whole, and checks all of them. sink.line may be NULL. */
Status audit_read(const char *folder, TrustChainSink sink, TrustChain *out);
/* *yes: the chain holds such a line about this clip. */
Status audit_has(const Audit *a, const char *what, const char *clip_id, bool *yes);

typedef enum {
    AUDIT_ABSENT,
    AUDIT_WHOLE,  /* every line is as it was written; the campaign has no key */
    AUDIT_SEALED, /* the same, and the campaign's key has signed the last hash */
    AUDIT_UNSEALED, /* the campaign has a key, and the last hash is not signed with it: somebody without the key wrote lines */
    AUDIT_BROKEN
} AuditState;
const char *audit_state_name(AuditState s); /* "whole" for both of the good ones */
/* Reads the whole chain; the sink may be {0}. *why: what is wrong, of AUDIT_UNSEALED and AUDIT_BROKEN; free() it; else NULL. */
AuditState audit_check(const char *folder, TrustChainSink sink, TrustChain *chain, char **why);

enum { AUDIT_TOKEN = 25 };
/* The HMAC that stands in the record for an id. */
void audit_token(const Audit *a, const char *id, char token[AUDIT_TOKEN]);

#endif
