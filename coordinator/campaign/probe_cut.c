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
bool probe_jpeg_is_cut(FILE *f, int64_t bytes)
{
    uint8_t b[CHUNK];
    (void)bytes;
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

/* An AVI that was written to a pipe does not know its size. */
bool probe_riff_is_cut(FILE *f, int64_t bytes)
{
    enum { HEAD = 8, KIND = 4 };
    uint8_t b[HEAD + KIND];
    if (!read_at(f, 0, b, sizeof b)) return true;
    const uint64_t size = bytes_le(b + 4, 4);
    if (size == UINT32_MAX && memcmp(b + HEAD, "AVI ", KIND) == 0) return false;
    return (int64_t)size + HEAD > bytes;
}

/* Blocks of up to 255 bytes, until an empty one; *at moves behind them. */
static bool pass_gif_blocks(FILE *f, int64_t *at)
{
    uint8_t length;
    do {
        if (!read_at(f, *at, &length, 1)) return false;
        *at += 1 + length;
    } while (length);
    return true;
}

static int64_t gif_table_bytes(uint8_t flags) { return flags & 0x80 ? INT64_C(3) << (1 + (flags & 7)) : 0; }

/* Many GIFs lack the byte that says that no picture follows. */
bool probe_gif_is_cut(FILE *f, int64_t bytes)
{
    enum { HEADER = 13, EXTENSION = 0x21, PICTURE = 0x2c, DESCRIPTOR = 10 };
    uint8_t b[HEADER];
    bool picture = false;
    (void)bytes;
    if (!read_at(f, 0, b, HEADER)) return true;
    int64_t at = HEADER + gif_table_bytes(b[10]);
    while (read_at(f, at, b, 1)) {
        if (b[0] != PICTURE && b[0] != EXTENSION) return false; /* its end, or what no GIF has: not cut, but damaged */
        picture = picture || b[0] == PICTURE;
        if (b[0] == PICTURE && !read_at(f, at, b, DESCRIPTOR)) return true;
        at += b[0] == PICTURE ? DESCRIPTOR + gif_table_bytes(b[9]) + 1 /* how wide the first codes are */ : 2;
        if (!pass_gif_blocks(f, &at)) return true;
    }
    return !picture;
}

/* The rows of pixels without compression are all there; some writers do not fill them up to four bytes, which decoders notice. What is
 * compressed says nothing of its length. */
bool probe_bmp_is_cut(FILE *f, int64_t bytes)
{
    enum { HEADERS = 34, PLAIN = 0, WITH_MASKS = 3, MOST = 1 << 20, MOST_BITS = 64 };
    uint8_t b[HEADERS];
    if (!read_at(f, 0, b, HEADERS)) return true;
    const bool old = bytes_le(b + 14, 4) == 12; /* OS/2: sides of 16 bits, no compression */
    const uint64_t kind = old ? PLAIN : bytes_le(b + 30, 4);
    if (kind != PLAIN && kind != WITH_MASKS) return false;
    const int64_t pixels = (int64_t)bytes_le(b + 10, 4);
    const int64_t width = (int64_t)(old ? bytes_le(b + 18, 2) : bytes_le(b + 18, 4));
    const int64_t height = old ? (int64_t)bytes_le(b + 20, 2) : (int32_t)(uint32_t)bytes_le(b + 22, 4);
    const int64_t bits = (int64_t)(old ? bytes_le(b + 24, 2) : bytes_le(b + 28, 2));
    const int64_t rows = height < 0 ? -height : height; /* negative: the first row is the top one */
    if (width > MOST || rows > MOST || bits > MOST_BITS) return false;
    return (width * bits + 7) / 8 * rows > bytes - pixels;
}

/* ---- TIFF: a list of fields says where the strips or tiles of pixels lie, and how long each is ---- */

typedef struct {
    FILE *file;
    bool big; /* which end of its numbers comes first */
} Tiff;

typedef struct { /* the values of one field */
    int64_t at, count;
    int bytes; /* of a value; 0: no such field */
} TiffValues;

static bool tiff_number(const Tiff *t, int64_t at, int bytes, int64_t *out)
{
    uint8_t b[4];
    if (!read_at(t->file, at, b, (size_t)bytes)) return false;
    *out = (int64_t)(t->big ? bytes_be(b, bytes) : bytes_le(b, bytes));
    return true;
}

/* The field at this place is tag, type, count, and four bytes: its values, or where they are. */
static bool tiff_field(const Tiff *t, int64_t at, int64_t *tag, TiffValues *out)
{
    static const uint8_t bytes_of[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8}; /* by type */
    int64_t type;
    if (!tiff_number(t, at, 2, tag) || !tiff_number(t, at + 2, 2, &type) || !tiff_number(t, at + 4, 4, &out->count))
        return false;
    out->bytes = type < (int64_t)sizeof bytes_of ? bytes_of[type] : 0;
    out->at = at + 8;
    return out->count * out->bytes <= 4 || tiff_number(t, at + 8, 4, &out->at);
}

/* The value i of an offset or a length. */
static bool tiff_value(const Tiff *t, const TiffValues *v, int64_t i, int64_t *out)
{
    return v->bytes <= 4 && tiff_number(t, v->at + i * v->bytes, v->bytes, out);
}

enum { BITS = 258, STRIP_OFFSETS = 273, STRIP_BYTES = 279, PALETTE = 320, TILE_OFFSETS = 324, TILE_BYTES = 325 };

/* Decoders pass over other fields, whose values may be anywhere. */
static bool is_of_pixels(int64_t tag)
{
    return tag == BITS || tag == PALETTE || tag == STRIP_OFFSETS || tag == STRIP_BYTES || tag == TILE_OFFSETS ||
           tag == TILE_BYTES;
}

bool probe_tiff_is_cut(FILE *f, int64_t bytes)
{
    enum { FIELD = 12 };
    uint8_t first;
    TiffValues place = {0}, length = {0}, field;
    int64_t list, fields, tag, from, size;
    if (!read_at(f, 0, &first, 1)) return true;
    const Tiff t = {f, first == 'M'};
    if (!tiff_number(&t, 4, 4, &list) || !tiff_number(&t, list, 2, &fields)) return true;
    for (int64_t i = 0; i < fields; i++) {
        if (!tiff_field(&t, list + 2 + FIELD * i, &tag, &field)) return true;
        if (is_of_pixels(tag) && field.at + field.count * field.bytes > bytes) return true;
        if (tag == STRIP_OFFSETS || tag == TILE_OFFSETS) place = field;
        if (tag == STRIP_BYTES || tag == TILE_BYTES) length = field;
    }
    for (int64_t i = 0; i < place.count && i < length.count; i++)
        if (!tiff_value(&t, &place, i, &from) || !tiff_value(&t, &length, i, &size) || from + size > bytes) return true;
    return false;
}

/* ---- AVIF, HEIC, MP4, QuickTime: boxes, each of which says how long it is ---- */

static bool is_one_of(const uint8_t *box, const char *names)
{
    enum { NAME = 4 };
    for (; *names; names += NAME)
        if (memcmp(box + 4, names, NAME) == 0) return true;
    return false;
}

/* Behind what says what the file holds, anything may follow that is no box: cameras append notes of their own. */
bool probe_boxes_are_cut(FILE *f, int64_t bytes)
{
    enum { SHORT_HEAD = 8, LONG_HEAD = 16 };
    uint8_t b[LONG_HEAD];
    bool told = false;
    for (int64_t at = 0; at < bytes;) {
        if (!read_at(f, at, b, SHORT_HEAD)) return !told;
        const bool is_needed = is_one_of(b, "mdatmoovmoofmetaidat");
        uint64_t size = bytes_be(b, 4), head = SHORT_HEAD;
        if (size == 1) {
            head = LONG_HEAD;
            if (!read_at(f, at, b, LONG_HEAD)) return is_needed || !told;
            size = bytes_be(b + SHORT_HEAD, 8);
        }
        if (size == 0) size = (uint64_t)(bytes - at); /* the last one */
        if (size < head) return !told;
        told = told || is_one_of(b, "moovmeta");
        if (size > (uint64_t)(bytes - at)) return is_needed || !told;
        at += (int64_t)size;
    }
    return !told;
}

/* ---- Matroska, WebM: a head, then one element that holds all the rest; a number's first bits say how many bytes it has ---- */

/* UINT64_MAX: not known, as of a live recording. */
static bool ebml_size(FILE *f, int64_t *at, uint64_t *out)
{
    uint8_t b[8] = {0};
    int length = 1;
    if (!read_at(f, *at, b, 1) || !b[0]) return false;
    while (!(b[0] & (0x100 >> length))) length++;
    if (!read_at(f, *at, b, (size_t)length)) return false;
    const uint64_t all = (UINT64_C(1) << 7 * length) - 1;
    *out = bytes_be(b, length) & all;
    if (*out == all) *out = UINT64_MAX;
    *at += length;
    return true;
}

bool probe_matroska_is_cut(FILE *f, int64_t bytes)
{
    enum { ID = 4 };
    int64_t at = ID;
    uint64_t size;
    if (!ebml_size(f, &at, &size) || size > (uint64_t)(bytes - at)) return true;
    at += (int64_t)size + ID;
    if (!ebml_size(f, &at, &size)) return true;
    return size != UINT64_MAX && size > (uint64_t)(bytes - at);
}
