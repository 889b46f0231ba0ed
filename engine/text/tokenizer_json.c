#include "tokenizer_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clean_text.h"
#include "common/file.h"

static const size_t json_max_bytes = (size_t)1 << 28;

static Status parse(const char *path, const char *text, size_t n, json_t **out)
{
    json_error_t error; /* numbers as reals: released folders say model_max_length 1000000000000000019884624838656 */
    *out = json_loadb(text, n, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
    if (!*out) return status_fail(ERR_INPUT, "%s:%d: not JSON (%s)", path, error.line, error.text);
    if (json_is_object(*out)) return status_ok();
    json_decref(*out);
    *out = NULL;
    return status_fail(ERR_INPUT, "%s: expected a JSON object", path);
}

Status tokenizer_json_load(const char *path, bool may_be_missing, json_t **out)
{
    *out = NULL;
    if (may_be_missing && !file_exists(path)) return status_ok();
    char *text = NULL;
    size_t n = 0;
    TRY(file_read(path, json_max_bytes, &text, &n));
    Status status = parse(path, text, n, out);
    free(text);
    return status;
}

/* ------------------------------------------------------------------------------------------------- model.vocab */

/* text[at..length) is what is left of the file; a 0 byte follows it. */
typedef struct {
    char *text;
    size_t at, length;
} Scanner;

static Status expected(const Scanner *s, const char *what)
{
    return status_fail(ERR_INPUT, "byte %zu: expected %s", s->at, what);
}

static char peek(Scanner *s)
{
    while (s->at < s->length && s->text[s->at] && strchr(" \t\r\n", s->text[s->at])) s->at++;
    return s->at < s->length ? s->text[s->at] : '\0';
}

static bool take(Scanner *s, char c)
{
    if (peek(s) != c || c == 0) return false;
    s->at++;
    return true;
}

/* "\u1234" after the backslash and the u */
static bool hex_digits(Scanner *s, uint32_t *c)
{
    *c = 0;
    for (int i = 0; i < 4; i++) {
        char digit = s->at < s->length ? s->text[s->at] : '\0';
        int value = digit >= '0' && digit <= '9'                 ? digit - '0'
                    : (digit | 32) >= 'a' && (digit | 32) <= 'f' ? (digit | 32) - 'a' + 10
                                                                 : -1;
        if (value < 0) return false;
        *c = *c << 4 | (uint32_t)value;
        s->at++;
    }
    return true;
}

/* What follows a backslash: *length bytes written over the text at *end, which lies before it. */
static bool unescape(Scanner *s, size_t *end)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = s->text[s->at++];
    const char *known = c ? strchr(from, c) : NULL;
    if (known) {
        s->text[(*end)++] = to[known - from];
        return true;
    }
    uint32_t code, low;
    if (c != 'u' || !hex_digits(s, &code)) return false;
    if (code >= 0xd800 && code < 0xdc00 && s->text[s->at] == '\\' && s->text[s->at + 1] == 'u') {
        s->at += 2;
        if (!hex_digits(s, &low) || low < 0xdc00 || low > 0xdfff) return false;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    if (code >= 0xd800 && code < 0xe000) return false;
    *end += clean_text_encode(code, (uint8_t *)s->text + *end);
    return true;
}

/* A string, unescaped in its place, UTF-8 checked. */
static Status scan_string(Scanner *s, const char **text, size_t *length)
{
    if (!take(s, '"')) return expected(s, "text in quotes");
    size_t first = s->at, end = s->at;
    for (;;) {
        uint32_t c;
        size_t used = s->at < s->length ? clean_text_decode((uint8_t *)s->text + s->at, s->length - s->at, &c) : 0;
        if (used == 0 || c < 0x20) return expected(s, "UTF-8 text that ends with a quote");
        if (c == '"') break;
        if (c == '\\') {
            s->at++;
            if (!unescape(s, &end)) return expected(s, "an escape sequence");
            continue;
        }
        memmove(s->text + end, s->text + s->at, used);
        end += used;
        s->at += used;
    }
    s->at++;
    *text = s->text + first;
    *length = end - first;
    return status_ok();
}

static void skip_string(Scanner *s)
{
    for (s->at++; s->at < s->length && s->text[s->at] != '"'; s->at++) s->at += s->text[s->at] == '\\';
    s->at = s->at < s->length ? s->at + 1 : s->length;
}

/* Roughly: jansson reads afterwards what was skipped, and complains. */
static void skip_value(Scanner *s)
{
    int depth = 0;
    do {
        char c = peek(s);
        if (c == '"') {
            skip_string(s);
            continue;
        }
        if ((c == ']' || c == '}') && depth-- == 0) return;
        if (c == '[' || c == '{') depth++;
        if (c == ',' && depth == 0) return;
        if (s->at < s->length) s->at++;
    } while (s->at < s->length && (depth > 0 || !strchr(",]}", peek(s))));
}

/* From the "{" to the value of a member; false when there is none. */
static bool enter_member(Scanner *s, const char *name)
{
    if (!take(s, '{')) return false;
    size_t length = strlen(name);
    while (peek(s) == '"') {
        size_t key = s->at + 1;
        skip_string(s);
        bool found = s->at == key + length + 1 && memcmp(s->text + key, name, length) == 0;
        if (!take(s, ':')) return false;
        if (found) return true;
        skip_value(s);
        if (!take(s, ',')) return false;
    }
    return false;
}

static Status scan_pair(Scanner *s, TokenizerVocab *v)
{
    const char *text = NULL;
    size_t length = 0;
    if (!take(s, '[')) return expected(s, "[piece, score]");
    TRY(scan_string(s, &text, &length));
    if (!take(s, ',')) return expected(s, "a comma and the score of a piece");
    peek(s);
    char *end;
    double score = strtod(s->text + s->at, &end);
    if (end == s->text + s->at || !isfinite(score)) return expected(s, "the score of a piece");
    s->at = (size_t)(end - s->text);
    if (!take(s, ']')) return expected(s, "] after a piece and its score");
    return tokenizer_vocab_add(v, text, length, score, PIECE_NORMAL);
}

/* Reads model.vocab and takes what it holds out of the text. */
static Status scan_vocab(Scanner *s, TokenizerVocab *v)
{
    if (!enter_member(s, "model") || !enter_member(s, "vocab") || !take(s, '['))
        return status_fail(ERR_INPUT, "model.vocab: expected a list of [piece, score] (a Unigram model)");
    size_t first = s->at;
    while (peek(s) == '[') {
        TRY(scan_pair(s, v));
        if (!take(s, ',')) break;
    }
    if (peek(s) != ']') return expected(s, "[piece, score]");
    memmove(s->text + first, s->text + s->at, s->length - s->at);
    s->length -= s->at - first;
    if (v->count <= TOKENIZER_UNKNOWN_ID)
        return status_fail(ERR_INPUT, "model.vocab has %zu pieces, expected at least 3", v->count);
    return status_ok();
}

/* ------------------------------------------------------------------------------------------------- the rest */

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static Status read_charsmap(const json_t *text, TokenizerVocab *v)
{
    const char *in = json_string_value(text);
    size_t length = json_string_length(text), n = 0;
    uint8_t *bytes = malloc(length + 1);
    if (!bytes) return status_fail(ERR_NODE, "out of memory: %zu bytes", length);
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < length; i++) {
        int value = base64_value(in[i]);
        if (value < 0) continue;
        bits = (bits << 6 | (uint32_t)value) & 0xffffff;
        have += 6;
        if (have < 8) continue;
        have -= 8;
        bytes[n++] = (uint8_t)(bits >> have);
    }
    Status status = tokenizer_vocab_set_charsmap(v, bytes, n);
    free(bytes);
    return status;
}

/* null, a Precompiled normaliser, or a sequence with one in it: the first counts. */
static Status read_normalizer(const json_t *normalizer, TokenizerVocab *v)
{
    const json_t *list = json_object_get(normalizer, "normalizers");
    size_t n = list ? json_array_size(list) : 1;
    for (size_t i = 0; i < n; i++) {
        const json_t *one = list ? json_array_get(list, i) : normalizer;
        const char *type = json_string_value(json_object_get(one, "type"));
        const json_t *map = json_object_get(one, "precompiled_charsmap");
        if (type && strcmp(type, "Precompiled") == 0 && json_is_string(map)) return read_charsmap(map, v);
    }
    return status_ok();
}

Status tokenizer_json_parse(const char *name, char *text, size_t n, TokenizerVocab *v, json_t **rest)
{
    *rest = NULL;
    Scanner s = {text, 0, n};
    TRY(status_at(scan_vocab(&s, v), "%s", name));
    TRY(parse(name, s.text, s.length, rest));
    Status status = status_at(read_normalizer(json_object_get(*rest, "normalizer"), v), "%s", name);
    if (!failed(status)) return status;
    json_decref(*rest);
    *rest = NULL;
    return status;
}

Status tokenizer_json_read(const char *path, TokenizerVocab *v, json_t **rest)
{
    *rest = NULL;
    if (!file_exists(path)) return status_ok();
    char *text = NULL;
    size_t n = 0;
    TRY(file_read(path, json_max_bytes, &text, &n));
    Status status = tokenizer_json_parse(path, text, n, v, rest);
    free(text);
    return status;
}
