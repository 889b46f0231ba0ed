/* estimate_sharing.c - which columns of the customers' table make renders distinct, and what the night would be without each of them.
 *
 * Two rows share a render where they agree in all columns that decide what a render is (coordinator/campaign/shot_keys.h) and in the seed. So
 * what is left without a column is the number of different rows without its values. Files of other names with the same content, and values
 * that a template makes the same, would be shared beyond that. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/campaign/alike.h"
#include "coordinator/plan/estimate.h"
#include "coordinator/plan/suggest.h"

enum { MOST_SINGLE = 6 /* columns that are tried alone */, MOST_TOGETHER = 3 };
static const double worth_more = 0.95; /* another column left out, too: of the time without */

typedef struct {
    uint64_t values; /* a hash of those that are not left out */
    int64_t clips;
} Left;

typedef struct {
    const Estimate *estimate;
    const SuggestBase *base;
    int column[CUSTOMERS_MAX_COLUMNS], count; /* those that decide */
    bool out[CUSTOMERS_MAX_COLUMNS];          /* of these: left out now */
    Alike kinds;                              /* of the rows that get a clip; value: how many */
    Left *left;                               /* of each kind: scratch */
    json_t *list;
} Sharing;

static int by_values(const void *a, const void *b)
{
    const uint64_t x = ((const Left *)a)->values, y = ((const Left *)b)->values;
    return (x > y) - (x < y);
}

/* With one seed for all and without the columns that are out: how many renders, and (clips not NULL, [kinds]) how many clips of each. */
static int64_t count_renders(Sharing *s, int64_t *clips)
{
    int64_t renders = 0;
    for (int64_t i = 0; i < s->kinds.count; i++) {
        uint64_t h = 0; /* not lookup_start: the order of the renders, and so the times, are the same in each process */
        for (int k = 0; k < s->count; k++) {
            const char *value = customers_value(s->kinds.customers, s->kinds.first[i], s->column[k]);
            if (!s->out[k]) h = lookup_hash(h, value, strlen(value));
        }
        s->left[i] = (Left){h, s->kinds.value[i]};
    }
    qsort(s->left, (size_t)s->kinds.count, sizeof *s->left, by_values);
    for (int64_t i = 0; i < s->kinds.count; i++) {
        renders += i == 0 || s->left[i].values != s->left[i - 1].values;
        if (clips) clips[renders - 1] += s->left[i].clips;
    }
    return renders;
}

static double time_of(Sharing *s, int64_t renders)
{
    int64_t *clips = memory_get((size_t)s->kinds.count + 1, sizeof *clips);
    Night n = s->estimate->by.night;
    count_renders(s, clips);
    n.shots = renders;
    n.clips = clips;
    n.trunk = NULL; /* of other renders */
    const double with_s = suggest_time(s->base, &n);
    free(clips);
    return with_s;
}

/* What the columns that are out cost -> the time without them. */
static double add_finding(Sharing *s, int64_t renders)
{
    const Campaign *c = s->estimate->campaign;
    const double with_s = time_of(s, renders);
    if (!isfinite(with_s)) return with_s; /* never */
    json_t *columns = json_array(), *keys = json_array();
    for (int k = 0; k < s->count; k++) {
        if (!s->out[k]) continue;
        json_array_append_new(columns, json_string(c->customers.column[s->column[k]]));
        json_array_append_new(keys, json_string(c->shot_keys[s->column[k]]));
    }
    json_array_append_new(s->list, json_pack("{s:o, s:o, s:b, s:I, s:I, s:f}", "columns", columns, "keys", keys,
                                             "one_seed", c->row_seeds, "shots", (json_int_t)c->shot_count,
                                             "shots_without", (json_int_t)renders, "finish_p50", with_s));
    return with_s;
}

static int64_t count_without(Sharing *s, int k)
{
    s->out[k] = true;
    const int64_t renders = count_renders(s, NULL);
    s->out[k] = false;
    return renders;
}

/* The column to leave out next: without it, and without those that are left out already, the fewest renders remain. -1: no column is left. */
static int find_next(Sharing *s, int64_t *left)
{
    int best = -1;
    for (int k = 0; k < s->count; k++) {
        if (s->out[k]) continue;
        const int64_t renders = count_without(s, k);
        if (best >= 0 && renders >= *left) continue;
        best = k;
        *left = renders;
    }
    return best;
}

/* Each column alone, then together with others while that gains something. */
static void try_columns(Sharing *s, int64_t before)
{
    double best_s = s->base->now_s;
    for (int k = 0; k < s->count && k < MOST_SINGLE; k++) {
        const int64_t renders = count_without(s, k);
        if (renders >= before) continue;
        s->out[k] = true;
        const double with_s = add_finding(s, renders);
        s->out[k] = false;
        if (with_s < best_s) best_s = with_s;
    }
    for (int n = 1; n <= MOST_TOGETHER && n < s->count; n++) {
        int64_t renders = before;
        const int k = find_next(s, &renders);
        s->out[k] = true;
        if (n == 1 || renders >= before) continue;
        const size_t known = json_array_size(s->list);
        const double with_s = add_finding(s, renders);
        if (with_s < worth_more * best_s)
            best_s = with_s;
        else
            json_array_remove(s->list, known);
    }
}

static int by_time(const void *a, const void *b)
{
    const double x = json_number_value(json_object_get(*(json_t *const *)a, "finish_p50")),
                 y = json_number_value(json_object_get(*(json_t *const *)b, "finish_p50"));
    return (x > y) - (x < y);
}

static json_t *in_order(json_t *list)
{
    const size_t count = json_array_size(list);
    json_t **entry = memory_get(count + 1, sizeof *entry), *sorted = json_array();
    for (size_t i = 0; i < count; i++) entry[i] = json_array_get(list, i);
    qsort(entry, count, sizeof *entry, by_time);
    for (size_t i = 0; i < count; i++) json_array_append(sorted, entry[i]);
    free(entry);
    json_decref(list);
    return sorted;
}

static void count_kinds(Sharing *s)
{
    const Campaign *c = s->estimate->campaign;
    s->kinds = (Alike){.customers = &c->customers, .column = s->column, .column_count = s->count};
    for (int64_t i = 0; i < c->clip_count; i++) {
        if (c->clip[i].shot < 0) continue;
        const int64_t kind = alike_kind(&s->kinds, i);
        s->kinds.value[kind]++; /* its clips */
    }
    s->left = memory_get((size_t)s->kinds.count + 1, sizeof *s->left);
}

json_t *estimate_sharing(const Estimate *p, const SuggestBase *base)
{
    const Campaign *c = p->campaign;
    if (!c->share_shots || c->shot_count < 2) return json_array();
    Sharing *s = memory_get(1, sizeof *s);
    *s = (Sharing){.estimate = p, .base = base, .list = json_array()};
    for (int i = 0; i < c->customers.column_count; i++)
        if (c->shot_keys[i]) s->column[s->count++] = i;
    count_kinds(s);
    int64_t before = c->shot_count;
    if (c->row_seeds) {
        const int64_t renders = count_renders(s, NULL);
        if (renders < before) add_finding(s, renders);
        before = renders;
    }
    try_columns(s, before);
    json_t *list = in_order(s->list);
    alike_clear(&s->kinds);
    free(s->left);
    free(s);
    return list;
}
