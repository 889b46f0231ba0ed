#include "likeness.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"

static const char start[] = "cameo:";

char *likeness_path(const char *id, int picture, const char *store)
{
    return text_format("%s%s/%d@%s", start, id, picture, store);
}

bool likeness_is(const char *path) { return path && strncmp(path, start, sizeof start - 1) == 0; }

bool likeness_parse(const char *path, char id[LIKENESS_ID_BYTES], int *picture, const char **store)
{
    if (!likeness_is(path)) return false;
    path += sizeof start - 1;
    size_t n = strcspn(path, "/@");
    if (n < 1 || n >= LIKENESS_ID_BYTES || path[n] != '/') return false;
    memcpy(id, path, n);
    id[n] = 0;
    char *end;
    long number = strtol(path + n + 1, &end, 10);
    if (end == path + n + 1 || *end != '@' || !end[1] || number < 0 || number > 1000) return false;
    *picture = (int)number;
    *store = end + 1;
    return true;
}
