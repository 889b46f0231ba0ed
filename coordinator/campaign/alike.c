#include "alike.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"

static uint64_t hash_of(const Alike *a, int64_t row)
{
    uint64_t h = lookup_start(); /* the kinds' numbers do not depend on it */
    for (int i = 0; i < a->column_count; i++) {
        const char *value = customers_value(a->customers, row, a->column[i]);
        h = lookup_hash(h, value, strlen(value));
    }
    return h;
}

static bool is_same(const Alike *a, int64_t row, int64_t other)
{
    for (int i = 0; i < a->column_count; i++) {
        const char *x = customers_value(a->customers, row, a->column[i]),
                   *y = customers_value(a->customers, other, a->column[i]);
        if (x != y && strcmp(x, y) != 0) return false;
    }
    return true;
}

int64_t alike_kind(Alike *a, int64_t row)
{
    const uint64_t hash = hash_of(a, row);
    size_t at = 0;
    for (int64_t kind; (kind = lookup_next(&a->known, hash, &at)) >= 0;)
        if (is_same(a, row, a->first[kind])) return kind;
    if (a->count == a->room) {
        a->room = 2 * a->room + 64;
        a->first = memory_resize(a->first, (size_t)a->room, sizeof *a->first);
        a->value = memory_resize(a->value, (size_t)a->room, sizeof *a->value);
    }
    a->first[a->count] = row;
    a->value[a->count] = a->fill;
    lookup_add(&a->known, hash, a->count);
    return a->count++;
}

void alike_clear(Alike *a)
{
    free(a->first);
    free(a->value);
    lookup_clear(&a->known);
}
