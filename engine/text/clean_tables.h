/* clean_tables.h - what the cleaning knows about characters: tables written by tools/make_clean_tables.py,
 * those of HTML at build time by clean_entities.py. */
#ifndef REELWRIGHT_CLEAN_TABLES_H
#define REELWRIGHT_CLEAN_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Kinds of characters, bits of clean_tables_kind. */
enum {
    CLEAN_SPACE = 1 << 0,      /* Python's white space */
    CLEAN_DIGIT = 1 << 1,      /* Python's \d */
    CLEAN_CONTROL = 1 << 2,    /* removed by ftfy */
    CLEAN_UNASSIGNED = 1 << 3, /* in Unicode 14: inert under normalisation there, whatever newer versions say */
    CLEAN_FIRST_OF_2 = 1 << 4, /* what a UTF-8 lead byte becomes in a single-byte encoding */
    CLEAN_FIRST_OF_3 = 1 << 5,
    CLEAN_FIRST_OF_4 = 1 << 6,
    CLEAN_CONTINUATION = 1 << 7,
    CLEAN_CONTINUATION_STRICT = 1 << 8
};

/* Sorted, disjoint; a character in no range has mask 0. */
typedef struct {
    uint32_t first, last;
    uint64_t mask;
} CleanRange;

extern const CleanRange clean_tables_kind[], clean_tables_class[];
extern const size_t clean_tables_kind_count, clean_tables_class_count;

/* Text is suspicious where consecutive characters match the steps: one below 64 is a class (a bit of clean_tables_class), any
 * other the character itself. */
typedef struct {
    uint8_t at_start, length; /* at_start: only at the beginning of the text */
    uint16_t step[7];
} CleanRule;

extern const CleanRule clean_tables_rule[];
extern const size_t clean_tables_rule_count;

/* Single-byte encodings in the order in which they are tried. sloppy: byte 1a stands for U+FFFD. */
enum { CLEAN_LATIN_1 = 0, CLEAN_WINDOWS_1252 = 1, CLEAN_ENCODINGS = 10 };

typedef struct {
    const char *name;
    bool sloppy;
    bool restores_a0;   /* a space may stand for byte a0 */
    uint16_t high[128]; /* what the bytes 80 to ff mean */
} CleanEncoding;

extern const CleanEncoding clean_tables_encoding[CLEAN_ENCODINGS];

/* What ftfy makes of single characters: C1 controls, ligatures, widths, quotes, line breaks. 0 ends `to`. */
typedef struct {
    uint32_t from, to[3];
} CleanCharacter;

extern const CleanCharacter clean_tables_character[];
extern const size_t clean_tables_character_count;

/* HTML5's named references without "&" (with ";" unless they may lack it), sorted by strcmp, and those that only ftfy knows. */
typedef struct {
    const char *name, *text;
} CleanEntity;

extern const CleanEntity clean_tables_entity[], clean_tables_capital_entity[];
extern const size_t clean_tables_entity_count, clean_tables_capital_entity_count;

/* Numeric references that mean another character, and those that mean nothing. */
typedef struct {
    uint32_t from, to;
} CleanNumber;

extern const CleanNumber clean_tables_number[];
extern const CleanRange clean_tables_dropped[];
extern const size_t clean_tables_number_count, clean_tables_dropped_count;

#endif
