/* yaml_fields.h - a YAML file against a table that says every key's type, range, default and meaning.
 *
 * On libyaml's documents and not on libcyaml, which DESIGN names too: libcyaml has the typed table, but stops at the
 * first fault and tells of it only through a log callback, and here every fault of a file is reported at once.
 * Aliases are references in libyaml's document and only keys of the table are visited, so nothing multiplies and no
 * cycle is followed. */
#ifndef REELWRIGHT_YAML_FIELDS_H
#define REELWRIGHT_YAML_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include "coordinator/campaign/faults.h"

enum {
    YAML_MAX_BYTES = 256 << 10, /* of a file */
    YAML_MAX_DEPTH = 20,
    YAML_MAX_ANCHORS = 100,
    YAML_MAX_WORDS = 16,
    YAML_MAX_TABLES = 64,
    YAML_MAX_ITEM_KEYS = 32,
    YAML_CHOICE_BYTES = 16
};

typedef struct {
    int count;
    char *word[YAML_MAX_WORDS];
    int line[YAML_MAX_WORDS];
} YamlWords;

typedef struct {
    int count;
    void *
        item; /* [count] structs of YamlField.item_bytes, each beginning with `int line`; yours to free, with their texts */
} YamlTables;

typedef struct {
    int line;
    char *group, *name, *value; /* yours to free */
} YamlPair;

typedef struct {
    int count;
    YamlPair *item; /* yours to free; those of a group stand together */
} YamlPairs;

typedef enum {
    YAML_TEXT,    /* char *: yours to free */
    YAML_INTEGER, /* int, min to max; with .words "auto" that word stands for 0 */
    YAML_NUMBER,  /* double, finite, min to max */
    YAML_SIZE,    /* int[2]: 64x112, each min to max */
    YAML_SWITCH,  /* bool: true or false */
    YAML_CHOICE,  /* char[YAML_CHOICE_BYTES]: one of .words, "unipc|euler" */
    YAML_WORDS,   /* YamlWords: a list of names */
    YAML_TABLES,  /* YamlTables: a list of tables, [{file: a, scale: 2}], each read by .item */
    YAML_PAIRS,   /* YamlPairs: tables of texts under names of the user's own, {cta: {A: x, B: y}} */
} YamlType;

typedef struct YamlField {
    const char *name; /* "frames"; "checkpoint.every" for a key inside of another */
    YamlType type;
    size_t to; /* offset in the struct that is filled */
    double min, max;
    const char *words;
    bool required;
    const char *fallback;         /* the default, read as if it stood in the file; NULL: the member stays as it is */
    const char *unit;             /* "pixels"; NULL: none */
    const char *help;             /* what it says, for a message: "what the clip shows" */
    const struct YamlField *item; /* of YAML_TABLES: what each table of the list is made of */
    int item_count;
    size_t item_bytes;
    bool group_none; /* "none" in place of the whole group that it belongs to leaves the group out */
    bool none;       /* of a text or a list of names: "none" is the same as leaving the key out */
    bool filled;     /* of a text: one without a letter is a fault */
    bool finish;     /* of a campaign: the finish reads it, under the last part of its name (common/finish_spec.h) */
} YamlField;

typedef struct Yaml Yaml;

/* NULL and faults when the text is no YAML or its top level is no table. `file` (for messages) and faults are
 * borrowed. */
Yaml *yaml_open(const char *file, const char *text, size_t bytes, Faults *faults);
void yaml_close(Yaml **y);

/* Fills *to (zeroed by the caller, or with what holds when a key has no default). line[i] becomes the line of
 * field[i]: 0 when it is not given, negative when its value is refused. Unknown, repeated and missing keys, wrong
 * types and ranges go to the faults of yaml_open. */
void yaml_read_fields(Yaml *y, const YamlField *field, int count, void *to, int *line);

/* Frees every text, list and table that the fields of *to hold, and nulls them. */
void yaml_free_fields(const YamlField *field, int count, void *to);

/* A file that maps names to tables of fields. */
int yaml_entry_count(const Yaml *y);
/* The i-th entry, its fields read as above; NULL (and a fault) when it is no table. The name lives as long as y. */
const char *yaml_read_entry(Yaml *y, int i, const YamlField *field, int count, void *to, int *line);

#endif
