/* clean_text.h - text as an array of code points, which is how the rules of the cleaning are written. */
#ifndef REELWRIGHT_CLEAN_TEXT_H
#define REELWRIGHT_CLEAN_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

typedef struct {
    uint32_t *at;
    size_t length, room;
} CleanText;

void clean_text_free(CleanText *t);
void clean_text_push(CleanText *t, uint32_t c);
void clean_text_append(CleanText *t, const uint32_t *at, size_t length);
void clean_text_append_utf8(CleanText *t, const char *utf8); /* utf8 is known to be valid */
bool clean_text_equal(const CleanText *a, const CleanText *b);
/* *to becomes *from, whose old content is freed; *from becomes empty. */
void clean_text_move(CleanText *to, CleanText *from);

/* The kinds (CLEAN_SPACE and so on) of a character. */
uint64_t clean_text_kind(uint32_t c);

/* One character at bytes, of at most n > 0 bytes: its length, or 0 when it is not UTF-8 as RFC 3629 has it. */
size_t clean_text_decode(const uint8_t *bytes, size_t n, uint32_t *c);
size_t clean_text_encode(uint32_t c, uint8_t bytes[4]);

/* ERR_INPUT with the offset of the first byte that is not UTF-8. */
Status clean_text_from_utf8(const char *utf8, CleanText *t);
char *clean_text_to_utf8(const CleanText *t); /* free() it */

/* Normalisation form C of Unicode 14. */
Status clean_text_compose(CleanText *t);

#endif
