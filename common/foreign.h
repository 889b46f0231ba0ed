/* foreign.h - text that others wrote (cells of a table, ids, tensor names, file names, what a program printed) on its way to people.
 *
 * What could steer a terminal or pass for another line becomes "?": control characters (C0, DEL, and C1 with its one-byte CSI, U+009B),
 * line and paragraph separators, the marks that turn the direction of writing (Unicode TR 36, "bidi"), and every byte that is not
 * UTF-8. Tabs become spaces. All other characters stay. Status messages, log lines, faults and what the verbs print go through here. */
#ifndef REELWRIGHT_FOREIGN_H
#define REELWRIGHT_FOREIGN_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The character at text, of which `bytes` are left: its length in bytes, 1 to 4; 0: none is left, or no UTF-8 begins there. */
size_t foreign_letter(const char *text, size_t bytes, uint32_t *letter);
/* The columns that a terminal gives it: 0 of a mark on the letter before, 2 of a wide one (Unicode TR 11: Chinese, Japanese, Korean,
 * emoji), else 1. */
int foreign_columns(uint32_t letter);
/* How many spaces make the text as wide as `columns`; 0: it is as wide already. */
int foreign_gap(const char *text, int columns);
/* Bytes of the control character that begins at text (C0 but tab and line breaks, DEL, C1); 0: none does. For files that keep a text's lines:
 * a terminal that shows them would obey such a character. */
size_t foreign_control(const char *text);
bool foreign_is_line(
    const char *text); /* UTF-8 in one line, without control characters: what a name or a reason has to be */
bool foreign_is_safe(const char *text); /* nothing in it would be changed */
void foreign_clean(char *text);         /* in place: it grows no longer */
char *foreign_copy(const char *text);   /* cleaned; free() it. Aborts when out of memory. */
/* Only what is no UTF-8 is changed: for JSON, which escapes the rest. free() it. */
char *foreign_utf8(const char *text);

/* Like vsnprintf, with all that comes from the arguments cleaned; line breaks of fmt itself stay. Returns the length of what
 * stands in `to`. Needs no memory. */
size_t foreign_vformat(char *to, size_t room, const char *fmt, va_list args);
/* Like fprintf, likewise. */
void foreign_print(FILE *to, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A JSON document and a line break. What could steer a terminal, and JSON itself lets through (DEL, C1, marks of direction), is escaped: the
 * document means the same. flags: jansson's. false: it could not be written. */
struct json_t;
bool foreign_print_json(FILE *to, const struct json_t *document, size_t flags);

#endif
