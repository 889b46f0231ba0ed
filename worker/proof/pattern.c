#include "pattern.h"

#include <stdio.h>

#include "common/hash.h"

/* HMAC-SHA256 over a counter: two bytes a cell. */
void pattern_make(const uint8_t key[WATERMARK_KEY_BYTES], int cells, Pattern *out)
{
    unsigned char block[HASH_BYTES];
    out->cells = cells;
    for (int i = 0; i < cells * cells; i++) {
        const int at = i % (HASH_BYTES / 2);
        if (at == 0) {
            char counter[48];
            const int n = snprintf(counter, sizeof counter, "pattern %d %d", cells, i);
            hash_sign(key, WATERMARK_KEY_BYTES, counter, (size_t)n, block);
        }
        const unsigned r = block[2 * at] | (unsigned)block[2 * at + 1] << 8;
        out->sign[i] = r & 1 ? 1 : -1;
        out->part[i] = (r >> 1 & 3) == 0 ? PATTERN_PILOT : (uint8_t)((r >> 3) % CONVOLUTION_CODED);
    }
}
