/* base64.h - bytes as text and back: data: addresses in pages that stand alone, keys, signatures. */
#ifndef REELWRIGHT_BASE64_H
#define REELWRIGHT_BASE64_H

#include <stddef.h>

char *base64_text(const void *data, size_t bytes); /* free() it */
/* NULL when the text is none; free() it. */
unsigned char *base64_bytes(const char *text, size_t *bytes);

#endif
