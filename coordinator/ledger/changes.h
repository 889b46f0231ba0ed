/* changes.h - a campaign as its file and table say it now, beside what the ledger holds of it: rows that are new, gone or other than
 * they were, and what follows for their clips. A row is known by its id. */
#ifndef REELWRIGHT_LEDGER_CHANGES_H
#define REELWRIGHT_LEDGER_CHANGES_H

#include "coordinator/ledger/ledger.h"

typedef enum {
    FOLLOWS_LIST,   /* other columns: the delivery list says them, nothing is made again */
    FOLLOWS_FINISH, /* the same render is finished again */
    FOLLOWS_RENDER, /* another render */
    FOLLOWS_COUNT
} Follows;
const char *changes_follows_name(Follows f); /* "list", "finish", "render" */

typedef struct {
    int64_t row; /* of the campaign */
    Follows follows;
    char *fields; /* JSON list: columns of the table, then keys of the campaign file */
} ChangedRow;

typedef struct {
    char *id;
    int64_t clip; /* its number */
} RemovedRow;

typedef struct {     /* owns its texts: changes_clear */
    int64_t *number; /* [rows of the campaign]: of the row's clip in the ledger; -1: it has none, it is new */
    int64_t added_count, changed_count, removed_count, room, removed_room;
    int64_t follows[FOLLOWS_COUNT]; /* changed rows, by what follows */
    int64_t
        refusals; /* how many of them need no --update: a consent was given or taken back, an erased customer is still in the table */
    ChangedRow *changed; /* in the order of the campaign's rows */
    RemovedRow *removed; /* in the order of the ledger */
} Changes;

/* Reads every row of both (some seconds for a million). ERR_INPUT: the ledger is of another campaign, or of another model, or of a
 * part of one; it says what to do. changes_clear in every case. */
Status changes_find(Ledger *l, const Campaign *c, Changes *out);
void changes_clear(Changes *c);
/* Whether the changes need --update: clips are made, made again or taken away, for another reason than consents. */
bool changes_make_clips(const Changes *c);
/* "1 row added, 2 changed (1 finished again, 1 rendered again), 3 removed"; free() it. */
char *changes_summary(const Changes *c);
/* One line for each of the first `most` rows, "  changed  anna: prompt (rendered again)", and how many more there are; free() it. */
char *changes_lines(const Changes *changes, const Campaign *c, int64_t most);

#endif
