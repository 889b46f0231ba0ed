/* customers_text.h - the bytes of a customers file as UTF-8 text, whatever program exported them.
 *
 * UTF-8, UTF-16 and UTF-32 are told apart by their byte order mark, UTF-16 without one by its zero bytes. One-byte encodings cannot
 * be told apart: a table in Windows-1252 reads as well in Windows-1250, with other people's names. Such a file is one fault, which
 * says how it would read, and `encoding:` in the campaign says which it is. Converted by iconv. */
#ifndef REELWRIGHT_CUSTOMERS_TEXT_H
#define REELWRIGHT_CUSTOMERS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "coordinator/campaign/faults.h"

typedef struct {
    const char *data;     /* UTF-8, without byte order marks; borrowed from the file's bytes or from owned */
    size_t bytes, before; /* before: bytes of the file that stand before data, for messages */
    bool bom;             /* the file began with a byte order mark, as Excel writes it and wants it */
    char *owned;
} CustomersText;

/* `encoding`: what iconv calls it, NULL: found out. False: it is no text at all (a workbook, say), and a fault. What is left of a
 * file that is damaged UTF-8 comes as it is, for the reader names the row. customers_text_clear in every case. */
bool customers_text_open(const char *file, const char *data, size_t bytes, const char *encoding, Faults *faults,
                         CustomersText *out);
void customers_text_clear(CustomersText *t);
/* Whether iconv knows the name. */
bool customers_text_knows(const char *encoding);

/* In place: a column's name without what nobody sees. Spaces of all kinds and line breaks become one plain space, characters of no
 * width go, spaces around it go. Returns the first character that went and is no ASCII: 0xa0, 0x200b, 0xfeff ...; 0: none. */
unsigned customers_text_trim(char *name);

#endif
