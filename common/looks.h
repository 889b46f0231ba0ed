/* looks.h - what a clip looks like, as perceptual hashes: PDQ of a picture a second, compared as vPDQ compares them. The worker makes them
 * (worker/gate/pdq.h), the coordinator compares the shots of a campaign, and both read the index in which campaigns find each other.
 *
 * The index is a folder with a file for each campaign, NAME.looks: a JSON object a line, {"campaign", "shot", "pdq": [hex, ...]}. It holds no
 * id, name or text of a customer. */
#ifndef REELWRIGHT_LOOKS_H
#define REELWRIGHT_LOOKS_H

#include <jansson.h>
#include <stdint.h>

#include "common/status.h"

enum { PDQ_BYTES = 32, PDQ_TEXT = 65, PDQ_NEAR = 31, PDQ_LEAST_QUALITY = 50, LOOKS_MAX = 16 };

typedef struct {
    uint8_t byte[PDQ_BYTES]; /* the most significant bit first, as its hexadecimal form is written */
} Pdq;

void pdq_text(const Pdq *p, char text[PDQ_TEXT]);
Status pdq_parse(const char *text, Pdq *out); /* ERR_INPUT: not 64 hexadecimal digits */
int pdq_distance(const Pdq *a, const Pdq *b); /* bits that differ, 0 to 256 */

typedef struct {
    int count; /* 0: nothing in it can be told from another */
    Pdq hash[LOOKS_MAX];
} Looks;

/* A list of texts; what is no hash, and what is too much, is left out. */
void looks_from_json(const json_t *list, Looks *out);
json_t *looks_to_json(const Looks *l);
/* Mean over both of what each hash is away from the nearest of the other, in bits; 256 where one of them is empty. */
double looks_distance(const Looks *a, const Looks *b);

typedef struct {
    char *campaign, *shot;
    Looks looks;
} IndexedLooks;
typedef struct {
    int count, room;
    IndexedLooks *item;
} LooksIndex;

/* All files of the folder but those of the campaign `not` (NULL: none is left out). A folder that is not there is an empty index;
 * ERR_INPUT names the file and line that cannot be read. looks_index_clear in every case. */
Status looks_index_read(const char *folder, const char * not, LooksIndex *out);
/* The text of one file; name is for messages. */
Status looks_index_parse(const char *name, const char *text, size_t bytes, LooksIndex *out);
void looks_index_add(LooksIndex *x, const char *campaign, const char *shot, const Looks *looks);
/* Writes the campaign's own file, whole; makes the folder. */
Status looks_index_write(const char *folder, const char *campaign, const LooksIndex *own);
/* The nearest, or NULL. */
const IndexedLooks *looks_index_nearest(const LooksIndex *x, const Looks *looks, double *distance);
void looks_index_clear(LooksIndex *x);

#endif
