/* serve_text.h - a page's files that are compiled in: style, script, and what else does not change. */
#ifndef REELWRIGHT_SERVE_TEXT_H
#define REELWRIGHT_SERVE_TEXT_H

#include <stddef.h>

typedef struct { /* in a table, path NULL ends it */
    const char *path, *type;
    const unsigned char *data;
    size_t bytes;
} ServeText;

/* NULL: the table has no such path. */
const ServeText *serve_text_find(const ServeText *table, const char *path);

#endif
