/* bytes.h - whole numbers as files hold them: `count` bytes, 8 at most, the most significant one first (be) or last (le). */
#ifndef REELWRIGHT_BYTES_H
#define REELWRIGHT_BYTES_H

#include <stdint.h>

static inline uint64_t bytes_be(const uint8_t *p, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++) value = value << 8 | p[i];
    return value;
}

static inline uint64_t bytes_le(const uint8_t *p, int count)
{
    uint64_t value = 0;
    for (int i = count - 1; i >= 0; i--) value = value << 8 | p[i];
    return value;
}

#endif
