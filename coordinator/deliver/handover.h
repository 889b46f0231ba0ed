/* handover.h - what follows when a clip's files lie in delivery/: a command uploads them, a webhook tells of it.
 *
 * Theory of operation
 * - The command gets one JSON object on its standard input, nothing in its arguments:
 *       {"action": "deliver", "campaign", "clip", "key", "folder", "files": [{"name", "path", "bytes", "sha256"}], "page", "captions", "variant"}
 *   and has time_limit seconds. Status 0: it is done; what it printed (an address, or JSON with "url") is kept as its answer. Any other
 *   status: it is tried again, so often as `retries` says, after 1, 2, 4 ... seconds.
 * - `key` is the same whenever the same files of the same clip are handed over, and another one when a file is another: a receiver that keeps
 *   it takes nothing twice, also when this process dies between the upload and its note.
 * - A clip that was uploaded, or told of, and is withdrawn since (a consent was taken back) is handed over once more: "action": "withdraw", the
 *   same key and files without paths, and "uploaded", what the upload answered, or "perhaps": true when it gave no answer; the event is
 *   "clip.withdrawn", with an id of its own. So is each version that was ever taken, under its own key (ledger/handed.h). A clip that is delivered again after that has another key.
 * - So is one whose row left the table, or is erased because its customer, or whom it shows, wants that; before its data go. When they do not take it, the clip is
 *   called by its tombstone's name the next time, and has no files: the key says which it is.
 * - What is handed over is noted before (ledger/handed.h): of an upload that got no answer, or whose note this process did not live to write, nobody
 *   knows whether it was taken, so a withdrawal asks for it too.
 * - A clip is delivered when it was uploaded. One that was not stays approved, with its reason, and the next delivery hands over that one
 *   alone.
 * - The webhook is told after that, of what the ledger says: {"event": "clip.delivered", ...} as the other events (watch/webhook.h), its id
 *   is the key. What could not be told is told by the next delivery.
 * - Several at once. When GIVE_UP_AFTER in a row have failed, the rest is left for the next delivery: a store that is down costs minutes, not
 *   the night. */
#ifndef REELWRIGHT_HANDOVER_H
#define REELWRIGHT_HANDOVER_H

#include <stdbool.h>

#include <jansson.h>

#include "coordinator/campaign/settings.h"
#include "coordinator/ledger/handed.h"
#include "coordinator/ledger/view.h"

enum { HANDOVER_GIVE_UP_AFTER = 5, HANDOVER_ANSWER_BYTES = 2000 };

typedef enum { HANDOVER_UPLOAD, HANDOVER_WEBHOOK, HANDOVER_WAYS } HandoverWay;
const char *handover_way_name(HandoverWay way); /* as the clip's document calls it: "upload", "webhook" */

typedef struct {  /* of one clip; handover_clear */
    int64_t clip; /* of a withdrawal: HandedRow.id */
    bool withdraw;
    char *clip_id;
    char *order; /* JSON */
    char key[HASH_TEXT];
    /* what became of it */
    bool done, unknown; /* unknown: a try got no answer, so the receiver may have it or not */
    int tries;
    char *answer, *reason; /* reason NULL: done */
} Handover;

typedef struct {
    const char *campaign, *folder; /* its name; delivery/, absolute */
} HandoverFrom;
/* times: how many keys of the clip were withdrawn. */
void handover_make(HandoverWay way, const ClipRow *r, int64_t times, const HandoverFrom *from, Handover *out);
void handover_make_withdrawal(const HandedRow *r, const HandoverFrom *from, Handover *out);
void handover_clear(Handover *h);

/* All of them, by several threads. *failed_in_a_row goes on from call to call. */
void handover_all(HandoverWay way, const DeliverySettings *s, const char *secret_file, Handover *const *h, int count,
                  int *failed_in_a_row);

/* As the clip's document keeps it; free() it. */
char *handover_document(const Handover *h);
/* What handed_note keeps of one that was taken, and handed_note_meant of one that is about to be handed over; free() it. */
char *handover_kept(const Handover *h);
bool handover_waits(const char *document, HandoverWay way); /* it was to be handed over, and has not been */
/* Why the clip of this document was not delivered, or nobody told of it, "upload: ..."; NULL: it was. free() it. */
char *handover_reason(const char *document);

#endif
