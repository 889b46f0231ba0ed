/* plan.h - within the ledger: writes the rows of a plan. */
#ifndef REELWRIGHT_LEDGER_PLAN_H
#define REELWRIGHT_LEDGER_PLAN_H

#include "coordinator/ledger/sql.h"

char *plan_columns_json(const Customers *c); /* the list's columns; free() it */
char *plan_row_json(const Customers *c, int64_t row);
/* SHA-256 of what a plan says beside what its fingerprint covers: the list's columns and values, the paths of pictures. */
void plan_detail(const Campaign *c, char hash[HASH_TEXT]);
/* Adds a planned shot of this number, which so many clips want. */
Status plan_insert_shot(Ledger *l, int64_t number, const PlannedShot *p, int64_t clips);
/* Adds the clip of a row, with this number. shot: the number of its shot. */
Status plan_insert_clip(Ledger *l, const Campaign *c, int64_t row, int64_t number, int64_t shot, const char *stem);
/* Writes what may differ from run to run: how the campaign is run, where the model lies. */
Status plan_update_settings(Ledger *l, const Campaign *c);
/* Which clips are the pilot's, while nobody has decided upon it: the first of each of the first shots, so that people see as many
 * different renders as they asked for clips; where there are fewer shots, the next rows too. */
Status plan_place_pilot(Ledger *l, const Campaign *c);

#endif
