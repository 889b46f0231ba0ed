#include "jansson.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 64 };

typedef struct {
    const char *text, *at, *end;
    int line, depth;
    json_error_t *error;
} Reader;

static json_t *read_value(Reader *r);

static void *fail(Reader *r, const char *what)
{
    if (r->error && !r->error->text[0]) {
        r->error->line = r->line;
        r->error->position = (int)(r->at - r->text);
        snprintf(r->error->text, sizeof r->error->text, "%s", what);
    }
    return NULL;
}

static void skip_space(Reader *r)
{
    for (; r->at < r->end && strchr(" \t\r\n", *r->at) && *r->at; r->at++)
        if (*r->at == '\n') r->line++;
}

static bool take(Reader *r, char c)
{
    skip_space(r);
    if (r->at == r->end || *r->at != c) return false;
    r->at++;
    return true;
}

static json_t *new_value(json_type type)
{
    json_t *j = calloc(1, sizeof *j);
    if (!j) abort();
    j->type = type;
    return j;
}

static void append(json_t *j, char *key, json_t *value)
{
    j->item = realloc(j->item, (j->count + 1) * sizeof *j->item);
    if (key) j->key = realloc(j->key, (j->count + 1) * sizeof *j->key);
    if (!j->item || (key && !j->key)) abort();
    if (key) j->key[j->count] = key;
    j->item[j->count++] = value;
}

/* ---- strings ------------------------------------------------------------------------------------------------------------- */

static bool read_hex(Reader *r, unsigned *out)
{
    char digits[5] = {0}, *rest;
    if (r->end - r->at < 4) return false;
    memcpy(digits, r->at, 4);
    r->at += 4;
    *out = (unsigned)strtoul(digits, &rest, 16);
    return rest == digits + 4;
}

static char *put_utf8(char *to, unsigned c)
{
    if (c < 0x80) {
        *to++ = (char)c;
        return to;
    }
    const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    *to++ = (char)((0xf00 >> more & 0xff) | c >> 6 * more);
    for (int i = more - 1; i >= 0; i--) *to++ = (char)(0x80 | (c >> 6 * i & 0x3f));
    return to;
}

/* After "\u"; the second half of a pair with it. */
static char *read_escaped(Reader *r, char *to)
{
    unsigned c, low;
    if (!read_hex(r, &c)) return NULL;
    if (c >= 0xd800 && c < 0xdc00) {
        if (r->end - r->at < 6 || r->at[0] != '\\' || r->at[1] != 'u') return NULL;
        r->at += 2;
        if (!read_hex(r, &low) || low < 0xdc00 || low > 0xdfff) return NULL;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    return put_utf8(to, c);
}

static char *read_text(Reader *r)
{
    static const char from[] = "\"\\/bfnrt", as[] = "\"\\/\b\f\n\r\t";
    const char *close = r->at;
    if (!take(r, '"')) return fail(r, "a string is expected");
    for (close = r->at; close < r->end && *close != '"'; close += *close == '\\' ? 2 : 1) {
    }
    if (close >= r->end) return fail(r, "a string does not end");
    char *text = malloc((size_t)(close - r->at) + 1), *to = text;
    if (!text) abort();
    while (r->at < close && to) {
        if (*r->at != '\\') {
            *to++ = *r->at++;
            continue;
        }
        const char kind = r->at[1], *known = strchr(from, kind);
        r->at += 2;
        if (kind == 'u')
            to = read_escaped(r, to);
        else if (kind && known)
            *to++ = as[known - from];
        else
            to = NULL;
    }
    if (!to) {
        free(text);
        return fail(r, "an escape is not known");
    }
    *to = 0;
    r->at = close + 1;
    return text;
}

/* ---- values -------------------------------------------------------------------------------------------------------------- */

static json_t *read_number(Reader *r)
{
    char digits[64], *rest;
    size_t n = 0;
    while (r->at < r->end && n + 1 < sizeof digits && *r->at && strchr("+-0123456789.eE", *r->at))
        digits[n++] = *r->at++;
    digits[n] = 0;
    const bool whole = n > 0 && !strpbrk(digits, ".eE");
    json_t *j = new_value(whole ? JSON_INTEGER : JSON_REAL);
    errno = 0;
    if (whole)
        j->integer = strtoll(digits, &rest, 10);
    else
        j->real = strtod(digits, &rest);
    if (n > 0 && *rest == 0 && errno == 0) return j;
    json_decref(j);
    return fail(r, "a value is expected");
}

static json_t *read_members(Reader *r, json_t *j, char close)
{
    const bool object = j->type == JSON_OBJECT;
    if (++r->depth > DEEPEST) return fail(r, "nested too deeply");
    if (take(r, close)) {
        r->depth--;
        return j;
    }
    do {
        char *key = object ? read_text(r) : NULL;
        if (object && !key) return NULL;
        json_t *value = object && !take(r, ':') ? fail(r, "':' is expected") : read_value(r);
        if (!value) {
            free(key);
            return NULL;
        }
        append(j, key, value);
        skip_space(r);
    } while (take(r, ','));
    r->depth--;
    return take(r, close) ? j : fail(r, "',' or the end of a list is expected");
}

static json_t *read_word(Reader *r)
{
    static const struct {
        const char *text;
        json_type type;
    } word[] = {{"true", JSON_TRUE}, {"false", JSON_FALSE}, {"null", JSON_NULL}};
    for (size_t i = 0; i < sizeof word / sizeof *word; i++) {
        const size_t n = strlen(word[i].text);
        if ((size_t)(r->end - r->at) < n || memcmp(r->at, word[i].text, n) != 0) continue;
        r->at += n;
        return new_value(word[i].type);
    }
    return read_number(r);
}

static json_t *read_value(Reader *r)
{
    skip_space(r);
    if (r->at == r->end) return fail(r, "the text ends");
    if (*r->at == '"') {
        char *text = read_text(r);
        if (!text) return NULL;
        json_t *j = new_value(JSON_STRING);
        j->text = text;
        return j;
    }
    if (*r->at != '{' && *r->at != '[') return read_word(r);
    json_t *j = new_value(*r->at == '{' ? JSON_OBJECT : JSON_ARRAY);
    r->at++;
    json_t *whole = read_members(r, j, j->type == JSON_OBJECT ? '}' : ']');
    if (!whole) json_decref(j);
    return whole;
}

json_t *json_loadb(const char *text, size_t bytes, size_t flags, json_error_t *error)
{
    Reader r = {.text = text, .at = text, .end = text + bytes, .line = 1, .error = error};
    if (error) *error = (json_error_t){0};
    json_t *j = read_value(&r);
    skip_space(&r);
    if (!j || r.at == r.end || (flags & JSON_DISABLE_EOF_CHECK)) return j;
    json_decref(j);
    return fail(&r, "text after the end");
}

json_t *json_load_file(const char *path, size_t flags, json_error_t *error)
{
    FILE *f = fopen(path, "rb");
    json_t *j = NULL;
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    const long bytes = ftell(f);
    rewind(f);
    char *text = malloc((size_t)bytes + 1);
    if (text && fread(text, 1, (size_t)bytes, f) == (size_t)bytes) j = json_loadb(text, (size_t)bytes, flags, error);
    free(text);
    fclose(f);
    return j;
}

json_t *json_incref(json_t *j)
{
    if (j) j->more++;
    return j;
}

void json_decref(json_t *j)
{
    if (!j) return;
    if (j->more > 0) {
        j->more--;
        return;
    }
    for (size_t i = 0; i < j->count; i++) {
        json_decref(j->item[i]);
        if (j->key) free(j->key[i]);
    }
    free(j->item);
    free(j->key);
    free(j->text);
    free(j);
}

/* ---- reading ------------------------------------------------------------------------------------------------------------- */

json_t *json_object_get(const json_t *object, const char *key)
{
    for (size_t i = 0; json_is_object(object) && i < object->count; i++)
        if (strcmp(object->key[i], key) == 0) return object->item[i];
    return NULL;
}

json_t *json_true(void)
{
    static json_t yes = {.type = JSON_TRUE};
    return &yes;
}

json_t *json_false(void)
{
    static json_t no = {.type = JSON_FALSE};
    return &no;
}

size_t json_object_size(const json_t *object) { return json_is_object(object) ? object->count : 0; }
size_t json_array_size(const json_t *array) { return json_is_array(array) ? array->count : 0; }
json_t *json_array_get(const json_t *array, size_t i) { return i < json_array_size(array) ? array->item[i] : NULL; }
const char *json_string_value(const json_t *j) { return json_is_string(j) ? j->text : NULL; }
json_int_t json_integer_value(const json_t *j) { return json_is_integer(j) ? j->integer : 0; }

double json_number_value(const json_t *j)
{
    return json_is_integer(j) ? (double)j->integer : json_is(j, JSON_REAL) ? j->real : 0;
}

bool json_object_pair(const json_t *object, size_t i, const char **key, json_t **value)
{
    if (i >= json_object_size(object)) return false;
    *key = object->key[i];
    *value = object->item[i];
    return true;
}
