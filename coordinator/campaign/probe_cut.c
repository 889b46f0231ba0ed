#include "coordinator/campaign/probe_cut.h"

#include <string.h>

#include "common/bytes.h"

enum { CHUNK = 1 << 16, SCAN = 0xda, END = 0xd9 };

static bool read_at(FILE *f, int64_t at, uint8_t *to, size_t bytes)
{
    return fseeko(f, at, SEEK_SET) == 0 && fread(to, bytes, 1, f) == 1;
}

/* Where the first scan begins: behind segments that say how long they are, previews with ends of their own among them. Or where something
 * else stands between them, which decoders pass over. -1: neither. */
static int64_t find_scan(FILE *f)
{
    uint8_t b[4];
    int64_t at = 2;
    while (read_at(f, at, b, sizeof b)) {
        if (b[0] != 0xff || b[1] == SCAN) return at;
        at += b[1] == 0xff ? 1 : 2 + (int64_t)bytes_be(b + 2, 2); /* filling, or a segment */
    }
    return -1;
}

/* In a scan 0xff 0xd9 is the picture's end and nothing else. */
bool probe_jpeg_is_cut(FILE *f)
{
    uint8_t b[CHUNK];
    const int64_t scan = find_scan(f);
    int last = 0;
    size_t n;
    if (scan < 0 || fseeko(f, scan, SEEK_SET) != 0) return true;
    while ((n = fread(b, 1, sizeof b, f)) > 0) {
        if (last == 0xff && b[0] == END) return false;
        for (const uint8_t *p = b; (p = memchr(p, 0xff, (size_t)(b + n - p))) && p + 1 < b + n; p++)
            if (p[1] == END) return false;
        last = b[n - 1];
    }
    return !ferror(f);
}

/* Pixels or a part of a chunk lie behind the end. Some writers leave the whole last chunk out, which decoders do not mind. */
bool probe_png_is_cut(FILE *f, int64_t bytes)
{
    uint8_t b[8];
    int64_t at = 8;
    bool pixels = false;
    while (at + (int64_t)sizeof b <= bytes && read_at(f, at, b, sizeof b)) {
        const int64_t end = at + 12 + (int64_t)bytes_be(b, 4); /* length, type, content, checksum */
        const bool are_pixels = memcmp(b + 4, "IDAT", 4) == 0;
        if (memcmp(b + 4, "IEND", 4) == 0) return !pixels || end > bytes;
        if (are_pixels && end > bytes) return true;
        pixels = pixels || are_pixels;
        at = end;
    }
    return !pixels || at != bytes; /* a part of a chunk */
}

bool probe_webp_is_cut(FILE *f, int64_t bytes)
{
    uint8_t b[8];
    if (!read_at(f, 0, b, sizeof b)) return true;
    return (int64_t)bytes_le(b + 4, 4) + (int64_t)sizeof b > bytes;
}
