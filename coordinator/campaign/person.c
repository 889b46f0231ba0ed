#include "person.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "common/file.h"

/* What is compared of a name; free() it. */
static char *key_of(const char *name)
{
    utf8proc_uint8_t *plain = NULL;
    utf8proc_map((const utf8proc_uint8_t *)name, 0, &plain,
                 UTF8PROC_NULLTERM | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE |
                     UTF8PROC_STRIPCC);
    const char *from = plain ? (const char *)plain : name;
    from += strspn(from, " ");
    size_t n = strlen(from);
    while (n > 0 && from[n - 1] == ' ') n--;
    char *key = text_format("%.*s", (int)n, from);
    free(plain);
    return key;
}

bool person_is_same(const char *a, const char *b)
{
    char *first = key_of(a), *second = key_of(b);
    const bool same = strcmp(first, second) == 0;
    free(first);
    free(second);
    return same;
}
