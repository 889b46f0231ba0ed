/* json_fields.h - reading the keys of one JSON file, each with its range. The first fault is kept and later reads do nothing, so
 * that a table of reads needs no branches; every message names file and key and what was expected. */
#ifndef REELWRIGHT_JSON_FIELDS_H
#define REELWRIGHT_JSON_FIELDS_H

#include <jansson.h>
#include <stdbool.h>

#include "common/status.h"

typedef struct {
    char *path;
    json_t *root;
    Status status; /* the first fault */
} Fields;

/* FOLDER/NAME, an object; fields_close also when this fails. */
Status fields_open(const char *folder, const char *name, Fields *f);
Status fields_close(Fields *f); /* the first fault, or OK */
void fields_fault(Fields *f, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The value of a key, NULL when it is absent or null: then the default holds, as in diffusers. */
json_t *fields_get(Fields *f, const char *key);
int fields_int(Fields *f, const char *key, int fallback, int min, int max);
double fields_real(Fields *f, const char *key, double fallback, double min, double max);
bool fields_bool(Fields *f, const char *key, bool fallback);
const char *fields_text(Fields *f, const char *key, const char *fallback);
/* A list of min..max whole numbers between low and high; false when the key is absent. */
bool fields_ints(Fields *f, const char *key, int min, int max, int low, int high, int *to, int *count);
/* A list of `count` numbers; those of `fallback` (NULL: it must be there) when the key is absent. */
void fields_reals(Fields *f, const char *key, int count, const float *fallback, double min, double max, float *to);
/* Something that changes the mathematics and that the engine does not do must be absent, null or `allowed`. */
void fields_refuse(Fields *f, const char *key, bool allowed);
void fields_expect(Fields *f, const char *key, const char *fallback, const char *want);

#endif
