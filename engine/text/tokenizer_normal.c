#include "tokenizer_normal.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "clean_text.h"
#include "common/file.h"
#include "tokenizer_breaks.h"

enum { LONGEST_WHOLE_BYTES = 5 }; /* longer user-perceived characters are normalised code point by code point */

/* ------------------------------------------------------------------------------------------------- the rules */

static uint32_t unit_at(const TokenizerNormal *t, size_t i)
{
    const uint8_t *u = t->units + 4 * i;
    return u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
}

Status tokenizer_normal_open(const uint8_t *bytes, size_t n, TokenizerNormal *out)
{
    *out = (TokenizerNormal){0};
    if (!bytes) return status_ok();
    if (n < 4) return status_fail(ERR_INPUT, "the normaliser has %zu bytes, expected at least 4", n);
    out->units = bytes;
    out->unit_count = 1;
    size_t trie_bytes = unit_at(out, 0);
    if (trie_bytes > n - 4 || trie_bytes < 4 || trie_bytes % 4 != 0)
        return status_fail(ERR_INPUT, "the normaliser's table has %zu bytes, expected a multiple of 4, at most %zu",
                           trie_bytes, n - 4);
    out->units = bytes + 4;
    out->unit_count = trie_bytes / 4;
    out->texts = (const char *)bytes + 4 + trie_bytes;
    out->texts_bytes = n - 4 - trie_bytes;
    for (size_t i = 0, used; i < out->texts_bytes; i += used) {
        uint32_t c;
        used = clean_text_decode((const uint8_t *)out->texts + i, out->texts_bytes - i, &c);
        if (used == 0) return status_fail(ERR_INPUT, "the normaliser's texts are not UTF-8 (their byte %zu)", i);
    }
    return status_ok();
}

/* Darts: where the children of a unit are, relative to it. */
static size_t offset_of(uint32_t unit) { return (size_t)(unit >> 10) << ((unit & 1u << 9) >> 6); }

/* The text that the shortest rule for the beginning of bytes gives, or NULL. */
static const char *find_rule(const TokenizerNormal *t, const char *bytes, size_t length, size_t *text_length)
{
    size_t node = offset_of(unit_at(t, 0));
    for (size_t i = 0; i < length && bytes[i]; i++) {
        node ^= (uint8_t)bytes[i];
        if (node >= t->unit_count) return NULL;
        uint32_t unit = unit_at(t, node);
        if ((unit & 0x800000ffu) != (uint8_t)bytes[i]) return NULL;
        node ^= offset_of(unit);
        if (!(unit >> 8 & 1)) continue;
        if (node >= t->unit_count) return NULL;
        size_t at = unit_at(t, node) & 0x7fffffffu;
        if (at > t->texts_bytes || (at < t->texts_bytes && (t->texts[at] & 0xc0) == 0x80)) return NULL;
        *text_length = strnlen(t->texts + at, t->texts_bytes - at);
        return t->texts + at;
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------------- user-perceived characters */

static uint32_t break_value(uint32_t c)
{
    size_t low = 0, high = tokenizer_breaks_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c > tokenizer_breaks[middle].last) {
            low = middle + 1;
        } else if (c < tokenizer_breaks[middle].first) {
            high = middle;
        } else {
            return tokenizer_breaks[middle].value;
        }
    }
    return 0;
}

/* What the rules of annex 29 want to know about the text before a place. */
typedef struct {
    uint32_t previous;   /* break property */
    bool odd_regionals;  /* an odd number of regional indicators ends here */
    bool pictograph;     /* a pictograph and then only extenders ends here */
    bool pictograph_zwj; /* the same and then a joiner */
    bool consonant;      /* a consonant and then only conjunct extenders ends here, */
    bool linker;         /* with a linker among them */
} BreakState;

static void advance(BreakState *s, uint32_t value)
{
    uint32_t property = value & 15;
    s->odd_regionals = property == BREAK_REGIONAL && !s->odd_regionals;
    s->pictograph_zwj = s->pictograph && property == BREAK_ZWJ;
    s->pictograph = (value & BREAK_PICTOGRAPH) || (s->pictograph && property == BREAK_EXTEND);
    bool extends = value & (BREAK_LINKER | BREAK_CONJUNCT_EXTEND);
    s->linker = s->consonant && extends && (s->linker || (value & BREAK_LINKER));
    s->consonant = (value & BREAK_CONSONANT) || (s->consonant && extends);
    s->previous = property;
}

/* GB3 to GB999 */
static bool is_boundary(const BreakState *s, uint32_t value)
{
    uint32_t a = s->previous, b = value & 15;
    if (a == BREAK_CR && b == BREAK_LF) return false;
    if ((a >= BREAK_CR && a <= BREAK_CONTROL) || (b >= BREAK_CR && b <= BREAK_CONTROL)) return true;
    if (a == BREAK_L && (b == BREAK_L || b == BREAK_V || b == BREAK_LV || b == BREAK_LVT)) return false;
    if ((a == BREAK_LV || a == BREAK_V) && (b == BREAK_V || b == BREAK_T)) return false;
    if ((a == BREAK_LVT || a == BREAK_T) && b == BREAK_T) return false;
    if (b == BREAK_EXTEND || b == BREAK_ZWJ || b == BREAK_SPACING_MARK || a == BREAK_PREPEND) return false;
    if (s->consonant && s->linker && (value & BREAK_CONSONANT)) return false;
    if (s->pictograph_zwj && (value & BREAK_PICTOGRAPH)) return false;
    return !(s->odd_regionals && b == BREAK_REGIONAL);
}

/* The bytes of the user-perceived character that text begins with. */
static size_t cluster_length(const char *text, size_t length)
{
    BreakState state = {0};
    size_t at = 0;
    while (at < length) {
        uint32_t c = 0xfffd;
        size_t used = clean_text_decode((const uint8_t *)text + at, length - at, &c);
        uint32_t value = c >= 0x20 && c < 0x7f ? 0 : break_value(c);
        if (at > 0 && is_boundary(&state, value)) break;
        advance(&state, value);
        at += used ? used : 1;
    }
    return at;
}

/* ------------------------------------------------------------------------------------------------- applied */

typedef struct {
    char *at;
    size_t length, room;
} Output;

static void put(Output *out, const char *text, size_t length)
{
    if (out->length + length > out->room) {
        size_t room = 2 * (out->length + length) + 64;
        char *at = memory_get(room, 1);
        if (out->length) memcpy(at, out->at, out->length);
        free(out->at);
        *out = (Output){at, out->length, room};
    }
    if (length) memcpy(out->at + out->length, text, length);
    out->length += length;
}

static void normalise_cluster(const TokenizerNormal *t, const char *text, size_t length, Output *out)
{
    size_t n = 0;
    const char *rule = length <= LONGEST_WHOLE_BYTES ? find_rule(t, text, length, &n) : NULL;
    if (rule) {
        put(out, rule, n);
        return;
    }
    for (size_t i = 0, used; i < length; i += used) {
        uint32_t c;
        used = clean_text_decode((const uint8_t *)text + i, length - i, &c);
        if (used == 0) used = 1;
        rule = find_rule(t, text + i, used, &n);
        put(out, rule ? rule : text + i, rule ? n : used);
    }
}

char *tokenizer_normal_apply(const TokenizerNormal *t, const char *text, size_t length, size_t *out_length)
{
    Output out = {memory_get(length + 1, 1), 0, length + 1};
    for (size_t i = 0, used; i < length; i += used) {
        used = t->units ? cluster_length(text + i, length - i) : length - i;
        if (t->units) {
            normalise_cluster(t, text + i, used, &out);
        } else {
            put(&out, text + i, used);
        }
    }
    *out_length = out.length;
    return out.at;
}
