/* Text that looks wrong (a rule of clean_tables_rule matches somewhere) is written back in each single-byte encoding that could
 * hold it, and the bytes are read as UTF-8: the first encoding for which that works is taken. If none does, stretches that look
 * like UTF-8 are put right by themselves, and at last C1 controls are read as Windows-1252. All of it again until nothing changes. */
#include "clean_encoding.h"

#include <stdlib.h>
#include <string.h>

#include "clean_tables.h"
#include "common/file.h"

enum { SUBSTITUTE = 0x1a, REPLACEMENT = 0xfffd };

typedef struct {
    uint8_t *at;
    size_t length;
} Bytes;

/* ------------------------------------------------------------------------------------------------- does it look wrong? */

static uint64_t classes_of(uint32_t c)
{
    size_t low = 0, high = clean_tables_class_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c > clean_tables_class[middle].last) {
            low = middle + 1;
        } else if (c < clean_tables_class[middle].first) {
            high = middle;
        } else {
            return clean_tables_class[middle].mask;
        }
    }
    return 0;
}

static bool rule_matches(const CleanRule *rule, const uint32_t *at, const uint64_t *mask)
{
    for (size_t i = 0; i < rule->length; i++) {
        uint16_t step = rule->step[i];
        if (step < 64 ? !(mask[i] >> step & 1) : at[i] != step) return false;
    }
    return true;
}

static bool looks_wrong(const uint32_t *at, size_t length)
{
    uint64_t *mask = memory_get(length + 1, sizeof *mask);
    bool found = false;
    for (size_t i = 0; i < length; i++) mask[i] = classes_of(at[i]);
    for (size_t i = 0; i < length && !found; i++) {
        for (size_t r = 0; r < clean_tables_rule_count && !found; r++) {
            const CleanRule *rule = &clean_tables_rule[r];
            if (rule->length > length - i || (rule->at_start && i > 0)) continue;
            found = rule_matches(rule, at + i, mask + i);
        }
    }
    free(mask);
    return found;
}

/* ------------------------------------------------------------------------------------------------- back to bytes */

static int encode_one(const CleanEncoding *e, uint32_t c)
{
    if (e->sloppy && c == REPLACEMENT) return SUBSTITUTE;
    if (c < 0x80) return e->sloppy && c == SUBSTITUTE ? -1 : (int)c;
    for (int i = 0; i < 128; i++) {
        if (e->high[i] == c) return i + 0x80;
    }
    return -1;
}

/* false when the encoding has not all of these characters */
static bool encode(const CleanEncoding *e, const CleanText *t, Bytes *bytes)
{
    bytes->length = t->length;
    bytes->at = memory_get(t->length + 1, 1);
    for (size_t i = 0; i < t->length; i++) {
        int byte = encode_one(e, t->at[i]);
        if (byte < 0) {
            free(bytes->at);
            return false;
        }
        bytes->at[i] = (uint8_t)byte;
    }
    return true;
}

static bool within(uint8_t byte, int first, int last) { return byte >= first && byte <= last; }

/* "\xc3 " standing alone as a word is the letter "a" with grave accent, whose second byte a0 was lost beside the space. */
static void restore_grave_word(Bytes *b)
{
    static const char *const begins[] = {" ", "quele", "quela", "quilo", "s "}; /* not before the Portuguese words */
    uint8_t *out = memory_get(2 * b->length + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < b->length; i++) {
        out[n++] = b->at[i];
        if (b->at[i] != 0xc3 || i + 1 >= b->length || b->at[i + 1] != ' ') continue;
        bool part_of_word = false;
        for (size_t k = 0; k < sizeof begins / sizeof *begins; k++) {
            size_t length = strlen(begins[k]);
            part_of_word = part_of_word || (length <= b->length - i - 2 && !memcmp(b->at + i + 2, begins[k], length));
        }
        if (!part_of_word) out[n++] = 0xa0;
    }
    free(b->at);
    *b = (Bytes){out, n};
}

/* Could the byte after a lead byte be a continuation, if a space were a0? The bytes that make likely characters only. */
static bool continues(uint8_t byte) { return within(byte, 0x80, 0xbf) && byte != 0x85 && byte != 0xa0; }

/* The length of a UTF-8 sequence at at in which one continuation byte a0 became a space; 0 when there is none. */
static size_t altered_length(const uint8_t *at, size_t n)
{
    static const uint8_t lead_of_2[] = {0xc2, 0xc3, 0xc5, 0xce, 0xd0, 0xd9};
    if (n >= 2 && memchr(lead_of_2, at[0], sizeof lead_of_2) && at[1] == ' ') return 2;
    if (n >= 3 && within(at[0], 0xe2, 0xe3) && at[1] == ' ' && continues(at[2])) return 3;
    if (n >= 3 && within(at[0], 0xe0, 0xe3) && continues(at[1]) && at[2] == ' ') return 3;
    if (n < 4 || at[0] != 0xf0) return 0;
    int spaces = 0;
    for (size_t i = 1; i < 4; i++) {
        if (at[i] != ' ' && !within(at[i], 0x80, 0xbf)) return 0;
        spaces += at[i] == ' ';
    }
    return spaces == 1 ? 4 : 0;
}

static void restore_a0(Bytes *b)
{
    restore_grave_word(b);
    for (size_t i = 0; i < b->length;) {
        size_t length = altered_length(b->at + i, b->length - i);
        for (size_t k = 0; k < length; k++) {
            if (b->at[i + k] == ' ') b->at[i + k] = 0xa0;
        }
        i += length ? length : 1;
    }
}

/* Sequences with lost bytes, tried in this order: L = the lead byte's range, s = the lost byte 1a, q = 1a or "?",
 * c = continuation or 1a, d = continuation, 1a or "?", S and T = the two halves of a surrogate, = is the byte ed. */
static const struct {
    uint8_t first, last;
    const char *rest;
} lossy[] = {{0xc2, 0xdf, "s"},   {0xc2, 0xc3, "?"},           {0xed, 0xed, "Sq=Td"}, {0xed, 0xed, "Sd=Tq"},
             {0xe0, 0xef, "qc"},  {0xe0, 0xef, "cq"},          {0xf0, 0xf4, "qcc"},   {0xf0, 0xf4, "cqc"},
             {0xf0, 0xf4, "ccq"}, {SUBSTITUTE, SUBSTITUTE, ""}};

static bool lossy_byte(char kind, uint8_t byte)
{
    bool lost = byte == SUBSTITUTE, mark = byte == '?', continuation = within(byte, 0x80, 0xbf);
    switch (kind) {
    case 's':
        return lost;
    case '?':
        return mark;
    case 'q':
        return lost || mark;
    case 'c':
        return lost || continuation;
    case 'd':
        return lost || mark || continuation;
    case 'S':
        return within(byte, 0xa0, 0xaf);
    case 'T':
        return within(byte, 0xb0, 0xbf);
    default:
        return byte == 0xed;
    }
}

static size_t lossy_length(const uint8_t *at, size_t n)
{
    for (size_t k = 0; k < sizeof lossy / sizeof *lossy; k++) {
        size_t length = 1 + strlen(lossy[k].rest), i = 1;
        if (length > n || !within(at[0], lossy[k].first, lossy[k].last)) continue;
        while (i < length && lossy_byte(lossy[k].rest[i - 1], at[i])) i++;
        if (i == length) return length;
    }
    return 0;
}

/* Each sequence that has lost bytes becomes U+FFFD. */
static void replace_lossy(Bytes *b)
{
    uint8_t *out = memory_get(3 * b->length + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < b->length;) {
        size_t length = lossy_length(b->at + i, b->length - i);
        if (length) {
            n += clean_text_encode(REPLACEMENT, out + n);
        } else {
            out[n++] = b->at[i];
        }
        i += length ? length : 1;
    }
    free(b->at);
    *b = (Bytes){out, n};
}

/* ------------------------------------------------------------------------------------------------- and read as UTF-8 */

/* A line break that ends the bytes counts as their end: the patterns of the original are written with "$". */
static bool at_end(const Bytes *b, size_t i) { return i == b->length || (i + 1 == b->length && b->at[i] == '\n'); }

/* UTF-8, and its variants: c0 80 for 0, and surrogate pairs of three bytes each. 0 when it is neither. */
static size_t decode_variant(const Bytes *b, size_t i, uint32_t *c)
{
    const uint8_t *at = b->at + i;
    size_t left = b->length - i;
    if (at[0] == 0xc0 && left > 1 && (at[1] == 0x80 || at_end(b, i + 1))) {
        *c = 0;
        return 2;
    }
    bool pair = left >= 6 && at[0] == 0xed && within(at[1], 0xa0, 0xaf) && within(at[2], 0x80, 0xbf) && at[3] == 0xed &&
                within(at[4], 0xb0, 0xbf) && (within(at[5], 0x80, 0xbf) || at_end(b, i + 5));
    if (pair) {
        *c = 0x10000 + ((at[1] & 0x0fu) << 16) + ((at[2] & 0x3fu) << 10) + ((at[4] & 0x0fu) << 6) + (at[5] & 0x3fu);
        return 6;
    }
    return clean_text_decode(at, left, c);
}

static bool decode(const Bytes *b, CleanText *out)
{
    for (size_t i = 0, used; i < b->length; i += used) {
        uint32_t c = 0;
        used = decode_variant(b, i, &c);
        if (used == 0) {
            clean_text_free(out);
            return false;
        }
        clean_text_push(out, c);
    }
    return true;
}

static bool read_as_utf8(const CleanText *t, CleanText *out)
{
    for (int k = 0; k < CLEAN_ENCODINGS; k++) {
        const CleanEncoding *e = &clean_tables_encoding[k];
        Bytes bytes;
        if (!encode(e, t, &bytes)) continue;
        if (e->restores_a0) restore_a0(&bytes);
        if (e->sloppy) replace_lossy(&bytes);
        bool fine = decode(&bytes, out);
        free(bytes.at);
        if (fine) return true;
    }
    return false;
}

/* ------------------------------------------------------------------------------------------------- when that fails */

/* How many characters from at on look like UTF-8 sequences read in some single-byte encoding. */
static size_t sequences_length(const uint32_t *at, size_t n)
{
    static const uint64_t lead[] = {0, 0, CLEAN_FIRST_OF_2, CLEAN_FIRST_OF_3, CLEAN_FIRST_OF_4};
    size_t total = 0;
    for (bool found = true; found;) {
        found = false;
        for (size_t length = 2; length <= 4 && !found; length++) {
            if (length > n - total || !(clean_text_kind(at[total]) & lead[length])) continue;
            size_t k = 1;
            while (k < length && (clean_text_kind(at[total + k]) & CLEAN_CONTINUATION)) k++;
            found = k == length;
            if (found) total += length;
        }
    }
    return total;
}

/* Puts stretches right by themselves; a stretch is shorter than the text, so this ends. */
static void fix_stretches(const CleanText *t, CleanText *out)
{
    for (size_t i = 0; i < t->length;) {
        bool inside = i > 0 && (clean_text_kind(t->at[i - 1]) & CLEAN_CONTINUATION_STRICT);
        size_t length = inside ? 0 : sequences_length(t->at + i, t->length - i);
        if (length > 0 && length < t->length && looks_wrong(t->at + i, length)) {
            CleanText stretch = {0};
            clean_text_append(&stretch, t->at + i, length);
            clean_encoding_fix(&stretch);
            clean_text_append(out, stretch.at, stretch.length);
            clean_text_free(&stretch);
        } else {
            clean_text_append(out, t->at + i, length ? length : 1);
        }
        i += length ? length : 1;
    }
}

static bool is_c1(uint32_t c) { return c >= 0x80 && c < 0xa0; }

/* C1 controls become what Windows-1252 has in their places. */
static void fix_c1(const CleanText *t, CleanText *out)
{
    const uint16_t *windows = clean_tables_encoding[CLEAN_WINDOWS_1252].high;
    for (size_t i = 0; i < t->length; i++) clean_text_push(out, is_c1(t->at[i]) ? windows[t->at[i] - 0x80] : t->at[i]);
}

/* One step; out is what t becomes. */
static void fix_once(const CleanText *t, CleanText *out)
{
    bool ascii = true;
    for (size_t i = 0; i < t->length && ascii; i++) ascii = t->at[i] < 0x80;
    if (ascii || !looks_wrong(t->at, t->length)) {
        clean_text_append(out, t->at, t->length);
        return;
    }
    if (read_as_utf8(t, out)) return;
    fix_stretches(t, out);
    if (!clean_text_equal(t, out)) return;
    clean_text_free(out);
    fix_c1(t, out);
}

void clean_encoding_fix(CleanText *t)
{
    for (bool changed = true; changed;) {
        CleanText out = {0};
        fix_once(t, &out);
        changed = !clean_text_equal(t, &out);
        clean_text_move(t, &out);
    }
}
