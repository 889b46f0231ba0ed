/* styles.h - how texts over the picture look, by name: configs/styles.yaml, which the program carries inside, and a campaign's own file
 * (`styles`), whose entries come before those. */
#ifndef REELWRIGHT_STYLES_H
#define REELWRIGHT_STYLES_H

#include <jansson.h>

#include "coordinator/campaign/faults.h"

enum { STYLES_MAX = 64 };

typedef struct {
    int count;
    struct {
        char name[32];
        json_t *style; /* as worker/finish/overlay.h reads it */
    } entry[STYLES_MAX];
} Styles;

/* Appends what the text says to what is there; faults name file and line. */
void styles_parse(const char *file, const char *text, size_t bytes, Faults *faults, Styles *out);
/* The program's own. */
void styles_own(Styles *out);
/* The first of that name; NULL, and a fault at `place`, when there is none. Borrowed. */
const json_t *styles_find(const Styles *s, const char *name, Place place, Faults *faults);
void styles_clear(Styles *s);

extern const char styles_text[]; /* configs/styles.yaml, made by the build */
extern const size_t styles_text_bytes;

#endif
