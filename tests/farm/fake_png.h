/* fake_png.h - a text as a file that ends as a PNG does: what delivers pictures looks at their end. */
#ifndef REELWRIGHT_TESTS_FAKE_PNG_H
#define REELWRIGHT_TESTS_FAKE_PNG_H

#include <stdlib.h>
#include <string.h>

#include "common/file.h"

static inline Status fake_png(const char *path, const char *text)
{
    static const unsigned char end[] = {0, 0, 0, 0, 'I', 'E', 'N', 'D', 0xae, 0x42, 0x60, 0x82};
    size_t n = strlen(text);
    char *bytes = memory_get(n + sizeof end, 1);
    memcpy(bytes, text, n);
    memcpy(bytes + n, end, sizeof end);
    Status status = file_replace(path, bytes, n + sizeof end);
    free(bytes);
    return status;
}

#endif
