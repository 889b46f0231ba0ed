/* check_changes.h - `check --out DIR`: what is other in the campaign than when DIR was planned, and what `run --update` would do. */
#ifndef REELWRIGHT_CHECK_CHANGES_H
#define REELWRIGHT_CHECK_CHANGES_H

#include <stdio.h>

#include <jansson.h>

#include "coordinator/ledger/changes.h"

/* Compares with the ledger in the folder; *there: it has one, else every row is new. ERR_INPUT: no update can take it. Writes
 * nothing. changes_clear in every case. */
Status check_changes_find(const char *folder, const Campaign *c, Changes *out, bool *there);
void check_changes_print(const Changes *x, const Campaign *c, const char *folder, bool there, FILE *to);
/* Sets "added", "changed" and "removed". */
void check_changes_set(const Changes *x, const Campaign *c, json_t *object);

#endif
