#include "clean_html.h"

#include <string.h>

#include "clean_tables.h"

enum { NAME_MAX_CHARACTERS = 32, WHOLE_MAX_CHARACTERS = 24 };

static bool is_digit(uint32_t c) { return c >= '0' && c <= '9'; }

static bool is_letter(uint32_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static int hex_value(uint32_t c)
{
    if (is_digit(c)) return (int)(c - '0');
    if (c >= 'a' && c <= 'f') return (int)(c - 'a' + 10);
    return c >= 'A' && c <= 'F' ? (int)(c - 'A' + 10) : -1;
}

static const char *find_entity(const CleanEntity *table, size_t count, const char *name)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(name, table[middle].name);
        if (order == 0) return table[middle].text;
        if (order > 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static void push_number(CleanText *out, uint32_t n)
{
    for (size_t i = 0; i < clean_tables_number_count; i++) {
        if (clean_tables_number[i].from == n) {
            clean_text_push(out, clean_tables_number[i].to);
            return;
        }
    }
    if (n > 0x10ffff || (n >= 0xd800 && n < 0xe000)) {
        clean_text_push(out, 0xfffd);
        return;
    }
    for (size_t i = 0; i < clean_tables_dropped_count; i++) {
        if (n >= clean_tables_dropped[i].first && n <= clean_tables_dropped[i].last) return;
    }
    clean_text_push(out, n);
}

/* "#38;", "#x26": how many characters the reference has after "&"; 0 when it is none. */
static size_t read_number(const uint32_t *at, size_t n, uint32_t *number)
{
    bool hex = n > 1 && (at[1] == 'x' || at[1] == 'X');
    size_t i = hex ? 2 : 1, first = i;
    uint32_t value = 0;
    for (; i < n; i++) {
        int digit = hex_value(at[i]);
        if (digit < 0 || (!hex && digit > 9)) break;
        if (value <= 0x10ffff)
            value = value * (hex ? 16 : 10) + (uint32_t)digit; /* then it is too large, and stays so */
    }
    if (i == first) return 0;
    *number = value;
    return i < n && at[i] == ';' ? i + 1 : i;
}

/* "amp;", "ampere": how many characters belong to the name, with the semicolon if there is one. */
static size_t read_name(const uint32_t *at, size_t n)
{
    size_t i = 0;
    while (i < n && i < NAME_MAX_CHARACTERS && (at[i] > 0x7f || at[i] == 0 || !strchr("\t\n\f <&#;", (int)at[i]))) i++;
    return i > 0 && i < n && at[i] == ';' ? i + 1 : i;
}

/* Writes what the name of length characters stands for; the longest known beginning counts when the whole is unknown. */
static void push_name(CleanText *out, const uint32_t *at, size_t length)
{
    char name[NAME_MAX_CHARACTERS + 2];
    size_t ascii = 0;
    while (ascii < length && at[ascii] > 0 && at[ascii] < 0x80) {
        name[ascii] = (char)at[ascii];
        ascii++;
    }
    for (size_t n = ascii; n > 0; n--) {
        if (n < length && n < 2) break;
        name[n] = 0;
        const char *text = find_entity(clean_tables_entity, clean_tables_entity_count, name);
        if (text) {
            clean_text_append_utf8(out, text);
            clean_text_append(out, at + n, length - n);
            return;
        }
    }
    clean_text_push(out, '&');
    clean_text_append(out, at, length);
}

void clean_html_unescape(CleanText *t)
{
    CleanText out = {0};
    for (size_t i = 0; i < t->length;) {
        const uint32_t *after = t->at + i + 1;
        size_t left = t->length - i - 1, used = 0;
        uint32_t number = 0;
        if (t->at[i] != '&') {
            clean_text_push(&out, t->at[i]);
        } else if (left > 0 && *after == '#') {
            used = read_number(after, left, &number);
            if (used) {
                push_number(&out, number);
            } else {
                clean_text_push(&out, '&');
            }
        } else {
            used = read_name(after, left);
            push_name(&out, after, used);
        }
        i += 1 + used;
    }
    clean_text_move(t, &out);
}

/* "&#38;" of which nothing is left over: the number must be followed by the semicolon, and not stand for one. */
static bool push_whole_number(CleanText *out, const uint32_t *at, size_t length)
{
    uint32_t number = 0;
    if (read_number(at, length, &number) != length || number == ';') return false;
    push_number(out, number);
    return true;
}

static bool push_whole_name(CleanText *out, const uint32_t *at, size_t length)
{
    char name[WHOLE_MAX_CHARACTERS + 2];
    for (size_t i = 0; i < length; i++) name[i] = (char)at[i];
    name[length] = 0;
    const char *text = find_entity(clean_tables_entity, clean_tables_entity_count, name);
    if (!text) text = find_entity(clean_tables_capital_entity, clean_tables_capital_entity_count, name);
    if (text) clean_text_append_utf8(out, text);
    return text != NULL;
}

void clean_html_unescape_whole(CleanText *t)
{
    CleanText out = {0};
    for (size_t i = 0; i < t->length;) {
        const uint32_t *after = t->at + i + 1;
        size_t left = t->length - i - 1, mark = t->at[i] == '&' && left > 0 && *after == '#', n = mark;
        while (t->at[i] == '&' && n < left && n - mark <= WHOLE_MAX_CHARACTERS &&
               (is_digit(after[n]) || is_letter(after[n])))
            n++;
        bool whole = n > mark && n - mark <= WHOLE_MAX_CHARACTERS && n < left && after[n] == ';';
        if (whole && (mark ? push_whole_number(&out, after, n + 1) : push_whole_name(&out, after, n + 1))) {
            i += n + 2;
        } else {
            clean_text_push(&out, t->at[i++]);
        }
    }
    clean_text_move(t, &out);
}
