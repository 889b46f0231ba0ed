#include "base64.h"

#include <stdlib.h>
#include <string.h>

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

unsigned char *base64_bytes(const char *text, size_t *bytes)
{
    size_t length = strlen(text), padding = 0;
    while (padding < 2 && length > padding && text[length - 1 - padding] == '=') padding++;
    if (length == 0 || length % 4 || length > (1 << 20)) return NULL;
    unsigned char *data = memory_get(length / 4 * 3 + 1, 1);
    int n = EVP_DecodeBlock(data, (const unsigned char *)text, (int)length);
    if (n < (int)padding) {
        free(data);
        return NULL;
    }
    *bytes = (size_t)n - padding;
    return data;
}
