#include "base64.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "common/file.h"

char *base64_text(const void *data, size_t bytes)
{
    enum { PIECE = 3 << 20 }; /* OpenSSL counts in int; multiples of 3 need no padding in between */
    char *text = memory_get((bytes + 2) / 3 * 4 + 1, 1), *to = text;
    for (size_t at = 0; at < bytes; at += PIECE)
        to += EVP_EncodeBlock((unsigned char *)to, (const unsigned char *)data + at,
                              (int)(bytes - at < PIECE ? bytes - at : PIECE));
    return text;
}
