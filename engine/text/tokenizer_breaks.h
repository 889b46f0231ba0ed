/* tokenizer_breaks.h - where user-perceived characters (extended grapheme clusters, Unicode annex 29) end. */
#ifndef REELWRIGHT_TOKENIZER_BREAKS_H
#define REELWRIGHT_TOKENIZER_BREAKS_H

#include <stddef.h>
#include <stdint.h>

/* The break property of a character is value & 15. */
enum {
    BREAK_OTHER,
    BREAK_CR,
    BREAK_LF,
    BREAK_CONTROL,
    BREAK_EXTEND,
    BREAK_ZWJ,
    BREAK_REGIONAL,
    BREAK_PREPEND,
    BREAK_SPACING_MARK,
    BREAK_L,
    BREAK_V,
    BREAK_T,
    BREAK_LV,
    BREAK_LVT,
    BREAK_PICTOGRAPH = 0x10, /* flags */
    BREAK_LINKER = 0x20,
    BREAK_CONSONANT = 0x40,
    BREAK_CONJUNCT_EXTEND = 0x80
};

typedef struct {
    uint32_t first, last;
    uint32_t value;
} TokenizerBreak;

/* Sorted, disjoint. Written by tools/make_clean_tables.py; a character in no range has value 0. */
extern const TokenizerBreak tokenizer_breaks[];
extern const size_t tokenizer_breaks_count;

#endif
