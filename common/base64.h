/* base64.h - bytes as text, for data: addresses in pages that stand alone. */
#ifndef REELWRIGHT_BASE64_H
#define REELWRIGHT_BASE64_H

#include <stddef.h>

char *base64_text(const void *data, size_t bytes); /* free() it */

#endif
