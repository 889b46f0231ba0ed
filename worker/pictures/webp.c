#include "webp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

enum { HEAD = 12, CHUNK = 8, FRAME = 16, EXTENDED = 10, HAS_ALPHA = 0x10, ANIMATED = 2 };

static uint32_t le24(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16; }
static uint32_t le32(const uint8_t *p) { return le24(p) | (uint32_t)p[3] << 24; }

static void put_le32(uint8_t *p, size_t v)
{
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(v >> 8 * i);
}

static bool is_animated(const uint8_t *data, size_t n)
{
    return n >= HEAD + CHUNK + EXTENDED && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBPVP8X", 8) == 0 &&
           data[HEAD + CHUNK] & ANIMATED;
}

bool webp_is_animated(const char *path)
{
    uint8_t begin[HEAD + CHUNK + EXTENDED];
    FILE *f;
    if (failed(file_open_stream(path, &f))) return false;
    const size_t n = fread(begin, 1, sizeof begin, f);
    fclose(f);
    return is_animated(begin, n);
}

/* The chunk of this name from `at` on: its payload and length; false: none. Chunks are padded to even lengths. */
static bool find_chunk(const uint8_t *data, size_t n, size_t at, const char *name, size_t *payload, size_t *length)
{
    while (at <= n && n - at >= CHUNK) {
        const size_t size = le32(data + at + 4);
        if (size > n - at - CHUNK) return false;
        if (memcmp(data + at, name, 4) == 0) {
            *payload = at + CHUNK;
            *length = size;
            return true;
        }
        at += CHUNK + size + (size & 1);
    }
    return false;
}

bool webp_first(const uint8_t *data, size_t n, uint8_t **still, size_t *bytes)
{
    size_t at, length;
    *still = NULL;
    if (!is_animated(data, n) || !find_chunk(data, n, HEAD, "ANMF", &at, &length) || length < FRAME) return false;
    const uint8_t *canvas = data + HEAD + CHUNK + 4, *frame = data + at;
    const bool whole = le24(frame) == 0 && le24(frame + 3) == 0 && le24(frame + 6) == le24(canvas) &&
                       le24(frame + 9) == le24(canvas + 3);
    if (!whole) return false;
    const size_t inside = length - FRAME; /* ALPH, VP8 or VP8L, as in a still file */
    *bytes = HEAD + CHUNK + EXTENDED + inside;
    uint8_t *out = *still = malloc(*bytes + 1);
    if (!out) return false;
    memcpy(out, data, HEAD + CHUNK + EXTENDED);
    put_le32(out + 4, *bytes - CHUNK);
    out[HEAD + CHUNK] &= HAS_ALPHA;
    memcpy(out + HEAD + CHUNK + EXTENDED, frame + FRAME, inside);
    return true;
}
