/* list.h - the delivery list: one line per row, always, whatever became of the row, and at any time.
 *
 * The customer's own columns in the customer's order, then ours (DESIGN section 3). RFC 4180 quoting; control characters in a cell, but
 * tabs and line breaks, are "?". Paths are relative to the folder that the list lies in. The file appears whole or not at all: whoever
 * reads it while it is written anew reads the last one. */
#ifndef REELWRIGHT_LIST_H
#define REELWRIGHT_LIST_H

#include <stdio.h>

#include "coordinator/ledger/view.h"

Status deliver_write_list(Ledger *l, const char *file);
/* What became of each clip's upload: clip_id, status, uploaded_at, answer (what the command printed), tries, reason. Behind them a line for each
 * upload that was taken and may not be shown any more: its status is "to be withdrawn" until the command has taken that, then "withdrawn". And one for
 * each of which nobody knows whether it was taken: "perhaps uploaded". */
Status deliver_write_uploads(Ledger *l, const char *file);
/* The same of the webhook: clip_id, status, told_at, tries, reason. */
Status deliver_write_webhooks(Ledger *l, const char *file);

/* A cell in quotes, with an apostrophe where a spreadsheet would compute it (list_is_formula), and without control characters. */
void deliver_put_quoted(FILE *f, const char *text);

#endif
