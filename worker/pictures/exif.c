#include "exif.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

enum { ENTRY = 12, TAG_ORIENTATION = 0x112, TYPE_SHORT = 3, MAX_CHUNK = 1 << 20, MAX_TIFF = 1 << 28 };

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

static uint32_t number(const uint8_t *at, int bytes, bool big)
{
    uint32_t v = 0;
    for (int i = 0; i < bytes; i++) v = v << 8 | at[big ? i : bytes - 1 - i];
    return v;
}

/* Exif is a TIFF file: byte order, 42, the offset of a directory: its length, then entries {tag, type, count, value}. */
int exif_orientation(const uint8_t *data, size_t n)
{
    if (n >= 6 && memcmp(data, "Exif\0\0", 6) == 0) {
        data += 6;
        n -= 6;
    }
    if (n < 8 || (memcmp(data, "II*\0", 4) != 0 && memcmp(data, "MM\0*", 4) != 0)) return 1;
    const bool big = data[0] == 'M';
    const size_t at = number(data + 4, 4, big);
    if (at > n - 2) return 1;
    const size_t entries = number(data + at, 2, big), room = (n - at - 2) / ENTRY;
    for (size_t i = 0; i < entries && i < room; i++) {
        const uint8_t *entry = data + at + 2 + i * ENTRY;
        if (number(entry, 2, big) != TAG_ORIENTATION || number(entry + 2, 2, big) != TYPE_SHORT) continue;
        const uint32_t value = number(entry + 8, 2, big);
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

/* The chunk that f is at: its name and length. */
static bool next_chunk(FILE *f, char name[4], uint32_t *length)
{
    uint8_t head[8];
    if (fread(head, 1, sizeof head, f) != sizeof head) return false;
    *length = number(head, 4, true);
    memcpy(name, head + 4, 4);
    return true;
}

int exif_of_png(const char *path)
{
    static const uint8_t magic[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    uint8_t begin[8];
    char name[4];
    uint32_t length;
    int orientation = 1;
    FILE *f;
    file_open_stream(path, &f);
    if (!f) return 1;
    bool more = fread(begin, 1, sizeof begin, f) == sizeof begin && memcmp(begin, magic, sizeof magic) == 0;
    while (more && next_chunk(f, name, &length) && memcmp(name, "IEND", 4) != 0) {
        if (memcmp(name, "eXIf", 4) != 0 || length > MAX_CHUNK) {
            more = fseek(f, (long)length + 4, SEEK_CUR) == 0; /* 4: the checksum */
            continue;
        }
        uint8_t *data = memory_get(length + 1, 1);
        if (fread(data, 1, length, f) == length) orientation = exif_orientation(data, length);
        free(data);
        more = false;
    }
    fclose(f);
    return orientation;
}

int exif_of_tiff(const char *path)
{
    char begin[4] = "", *data;
    size_t n;
    FILE *f;
    if (failed(file_open_stream(path, &f))) return 1;
    const bool whole = fread(begin, 1, sizeof begin, f) == sizeof begin;
    fclose(f);
    if (!whole || (memcmp(begin, "II*\0", 4) != 0 && memcmp(begin, "MM\0*", 4) != 0)) return 1;
    if (failed(file_read(path, MAX_TIFF, &data, &n))) return 1;
    const int orientation = exif_orientation((const uint8_t *)data, n);
    free(data);
    return orientation;
}

/* x' = a x + c y, y' = b x + d y, y downwards: quarter turns and mirrors have two of the four. */
int exif_of_matrix(const int32_t m[9])
{
    const int64_t a = m[0], b = m[1], c = m[3], d = m[4];
    if (llabs(a) + llabs(d) >= llabs(b) + llabs(c)) return a < 0 ? (d < 0 ? 3 : 2) : d < 0 ? 4 : 1;
    return b > 0 ? (c < 0 ? 6 : 5) : c < 0 ? 7 : 8;
}

/* ---- turning ------------------------------------------------------------------------------------------------------------ */

/* Orientations 2 and 4 mirror, 3 turns half around; 5 to 8 also swap rows and columns. */
void exif_turn(Picture *p, int orientation)
{
    if (orientation < 2 || orientation > 8) return;
    const bool swap = orientation >= 5;
    const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool from_below = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    const int width = swap ? p->height : p->width, height = swap ? p->width : p->height;
    uint8_t *rgb = memory_get((size_t)width * (size_t)height, 3);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            int from_x = swap ? y : x, from_y = swap ? x : y;
            if (from_right) from_x = p->width - 1 - from_x;
            if (from_below) from_y = p->height - 1 - from_y;
            memcpy(rgb + ((size_t)y * (size_t)width + (size_t)x) * 3,
                   p->rgb + ((size_t)from_y * (size_t)p->width + (size_t)from_x) * 3, 3);
        }
    free((void *)(uintptr_t)p->rgb);
    *p = (Picture){width, height, rgb};
}
