/* dossier.h - the legal department's file of a campaign, as JSON and as a page: models with parts, hashes, licences and training data; whose
 * likeness was used, by which consent, and how that stands now; every decision; figures. DIR/dossier.json and DIR/dossier.html, 0600. */
#ifndef REELWRIGHT_DOSSIER_H
#define REELWRIGHT_DOSSIER_H

#include <jansson.h>

#include "common/status.h"

/* The reference is the caller's. Reads the ledger, the audit log, the model's cards and, when the campaign used a cameo, the trust store; what
 * cannot be read any more is said so in its place. */
Status dossier_make(const char *folder, json_t **out);
Status dossier_write(const char *folder, const json_t *dossier);

#endif
