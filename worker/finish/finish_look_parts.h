/* finish_look_parts.h - the inside of finish_look, for finish_look*.c. */
#ifndef REELWRIGHT_FINISH_LOOK_PARTS_H
#define REELWRIGHT_FINISH_LOOK_PARTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define uthash_fatal(message) abort()
#include <uthash.h>

#include "common/finish_spec.h"
#include "common/hash.h"
#include "worker/finish/finish_look.h"

typedef struct { /* a set of texts to lay out, or a voice to measure; those that are equal are one */
    UT_hash_handle hh;
    char key[HASH_TEXT];
    int64_t clip; /* the first that has it */
    int weight;   /* how long its texts are; then its rank among its kind by that */
    int frames;   /* of the clips that follow this voice; 0: not known */
    bool is_voice, is_try /* of an engine, with a text that surely fits */, is_known, is_noted;
    bool any_digits; /* it stands for all texts that differ from its own in digits alone */
    int64_t others;  /* how many more clips it stands for */
    bool is_split;   /* with any_digits: some digit does not fit, so each clip's texts are looked at */
} Unit;

typedef struct {
    int64_t clip;
    char *member, *message;
    int64_t others; /* clips with the same note; -1: a fault */
} Fault;

typedef struct {
    const FinishLookJob *job;
    Unit *by_key;
    Unit **unit;  /* [count], the longest first */
    Unit **voice; /* [job->count], where shots follow their voices: what each clip says; NULL: not to be measured */
    int count;
    bool *done; /* [count] */
    struct LookClass *by_shape;
    Fault *fault;
    int fault_count;
} Look;

void finish_look_fault(Look *l, int64_t clip, const char *member, const char *message);
/* The same for what is no fault; a message that is there already is counted. */
void finish_look_note(Look *l, int64_t clip, const char *member, const char *message, int64_t others);

/* A unit's key: what determines how it turns out. */
Hash *finish_look_key(const Look *l, const char *kind);
void finish_look_key_document(Hash *h, const char *name, const json_t *o);
void finish_look_key_file(Hash *h, const char *file); /* what lies in a file may change under its name */
/* Takes the key. The unit may have been there. */
Unit *finish_look_unit(Look *l, Hash *key, int64_t clip, int weight, bool is_voice);

typedef struct { /* faults of one clip */
    Look *look;
    int64_t clip;
    int count;
    bool quiet; /* only counted */
} Counted;

/* One more, as the checks of overlays tell it; self: Counted. */
void finish_look_count(void *self, const char *field, const char *message);

/* ---- what there is to look at: finish_look_gather.c ---- */

/* What is quick is done at once; the rest becomes units. */
Status finish_look_gather(Look *l, int64_t clip);
/* Then units of all clips whose texts stood for others, and did not fit with all digits. */
Status finish_look_gather_split(Look *l);
/* How long a clip of such a shot is at least: where a platform wants more than the render has, the last frame is held. */
double finish_look_least_of(const FinishSpec *spec, double shot_s);

/* ---- texts that differ in digits alone: finish_look_digits.c ---- */

/* A clip's document that was seen before, but for the digits in its texts: -> that one's unit; NULL: none was, or it shows more than texts.
 * *shape: to be handed to finish_look_add_shape with the unit that is made of it; NULL: there is no use in it. */
Unit *finish_look_shape(Look *l, const char *document, char **shape);
void finish_look_add_shape(Look *l, char *shape, Unit *unit);
void finish_look_forget_shapes(Look *l);
/* The same overlays, or label, with this digit in the place of each one of their texts; the caller's. */
json_t *finish_look_with_digit(const json_t *texts, char digit);

/* ---- voices: finish_look_voice.c ---- */

typedef enum { BY_US, BY_COMMAND, BY_PERSON } SaidBy;

void finish_look_add_voice(Look *l, int64_t clip, const json_t *voice);
void finish_look_at_voice(Look *l, Unit *u, const json_t *voice);
SaidBy finish_look_said_by(const json_t *voice);
/* In the message of a sound file's note. */
extern const char finish_look_open_end[];

#endif
