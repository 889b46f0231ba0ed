#include "diversity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/ledger/view.h"

enum { MOST_PAIRS = 50 };

typedef struct {
    char *key, *clip; /* of a shot, and of one of its clips */
    Looks looks;
} Shot;

typedef struct {
    char *campaign;
    Shot *shot;
    int64_t count, room;
} Shots;

static Status take_clip(void *self, const ClipRow *r)
{
    Shots *s = self;
    Looks looks;
    json_t *document = *r->result ? json_loads(r->result, 0, NULL) : NULL;
    looks_from_json(json_object_get(json_object_get(document, "gates"), "pdq"), &looks);
    json_decref(document);
    if (!looks.count || !*r->key) return status_ok();
    if (s->count == s->room) {
        s->room = 2 * s->room + 256;
        s->shot = memory_resize(s->shot, (size_t)s->room, sizeof *s->shot);
    }
    s->shot[s->count++] = (Shot){text_copy(r->key), text_copy(r->clip_id), looks};
    return status_ok();
}

static int by_key(const void *a, const void *b)
{
    const Shot *x = a, *y = b;
    const int order = strcmp(x->key, y->key);
    return order ? order : strcmp(x->clip, y->clip);
}

static void clear_shot(Shot *s)
{
    free(s->key);
    free(s->clip);
}

static void clear(Shots *s)
{
    for (int64_t i = 0; i < s->count; i++) clear_shot(&s->shot[i]);
    free(s->shot);
    free(s->campaign);
}

/* Each shot once, in the order of the keys, which are hashes: any stretch of them is a fair sample. */
static Status read_shots(Ledger *l, Shots *out)
{
    Snapshot s = {0};
    *out = (Shots){0};
    TRY(ledger_read_snapshot(l, &s));
    out->campaign = text_copy(s.name);
    snapshot_clear(&s);
    TRY(ledger_read_clips(l, NULL, (ClipSink){take_clip, out}));
    if (out->count) qsort(out->shot, (size_t)out->count, sizeof *out->shot, by_key);
    int64_t kept = 0;
    for (int64_t i = 0; i < out->count; i++)
        if (kept && strcmp(out->shot[kept - 1].key, out->shot[i].key) == 0)
            clear_shot(&out->shot[i]);
        else
            out->shot[kept++] = out->shot[i];
    out->count = kept;
    return status_ok();
}

/* ---- distances ------------------------------------------------------------------------------------------------------------------ */

typedef struct {
    double distance;
    int64_t a, b; /* b: of the campaign or of the index */
} Pair;

static int by_distance(const void *a, const void *b)
{
    const Pair *x = a, *y = b;
    return x->distance != y->distance ? (x->distance > y->distance) - (x->distance < y->distance)
                                      : (x->a > y->a) - (x->a < y->a);
}

static json_t *quantiles(const Pair *sorted, int64_t n)
{
    static const struct {
        const char *name;
        double share;
    } at[] = {{"p05", 0.05}, {"p25", 0.25}, {"p50", 0.5}, {"p75", 0.75}, {"p95", 0.95}};
    json_t *j = json_object();
    for (size_t i = 0; i < sizeof at / sizeof *at; i++)
        json_object_set_new(j, at[i].name,
                            n ? json_real(round(sorted[(int64_t)(at[i].share * (double)(n - 1))].distance * 10) / 10)
                              : json_null());
    return j;
}

static int64_t count_near(const Pair *sorted, int64_t n)
{
    int64_t near = 0;
    while (near < n && sorted[near].distance <= PDQ_NEAR) near++;
    return near;
}

static json_t *describe_own(const Shots *s, int64_t n, Pair *nearest)
{
    const int64_t compared = n > 1 ? n : 0;
    json_t *pairs = json_array();
    if (n) qsort(nearest, (size_t)n, sizeof *nearest, by_distance);
    for (int64_t i = 0; i < compared && nearest[i].distance <= PDQ_NEAR && json_array_size(pairs) < MOST_PAIRS; i++) {
        const Pair *p = &nearest[i];
        const bool again =
            i > 0 && nearest[i - 1].a == p->b && nearest[i - 1].b == p->a; /* the same from its other end */
        if (!again)
            json_array_append_new(pairs, json_pack("{s:s, s:s, s:f}", "a", s->shot[p->a].clip, "b", s->shot[p->b].clip,
                                                   "distance", round(p->distance * 10) / 10));
    }
    return json_pack("{s:s, s:I, s:I, s:o, s:I, s:o}", "campaign", s->campaign, "shots", (json_int_t)n, "of",
                     (json_int_t)s->count, "distance", quantiles(nearest, compared), "near_duplicates",
                     (json_int_t)count_near(nearest, compared), "pairs", pairs);
}

/* Each pair is measured once, for both. */
static json_t *compare_own(const Shots *s, int most)
{
    const int64_t n = most > 0 && s->count > most ? most : s->count;
    Pair *nearest = memory_get((size_t)n + 1, sizeof *nearest);
    for (int64_t i = 0; i < n; i++) nearest[i] = (Pair){INFINITY, i, i};
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = i + 1; k < n; k++) {
            const double d = looks_distance(&s->shot[i].looks, &s->shot[k].looks);
            if (d < nearest[i].distance) nearest[i].distance = d, nearest[i].b = k;
            if (d < nearest[k].distance) nearest[k].distance = d, nearest[k].b = i;
        }
    json_t *j = describe_own(s, n, nearest);
    free(nearest);
    return j;
}

static json_t *compare_others(const Shots *s, const LooksIndex *x)
{
    Pair *nearest = memory_get((size_t)s->count + 1, sizeof *nearest);
    const int64_t n = x->count ? s->count : 0;
    json_t *pairs = json_array();
    for (int64_t i = 0; i < n; i++) {
        const IndexedLooks *other = looks_index_nearest(x, &s->shot[i].looks, &nearest[i].distance);
        nearest[i].a = i;
        nearest[i].b = other - x->item;
    }
    if (n) qsort(nearest, (size_t)n, sizeof *nearest, by_distance);
    for (int64_t i = 0; i < n && i < MOST_PAIRS && nearest[i].distance <= PDQ_NEAR; i++) {
        const IndexedLooks *other = &x->item[nearest[i].b];
        json_array_append_new(pairs, json_pack("{s:s, s:s, s:s, s:f}", "clip", s->shot[nearest[i].a].clip, "campaign",
                                               other->campaign, "shot", other->shot, "distance",
                                               round(nearest[i].distance * 10) / 10));
    }
    json_t *j = json_pack("{s:i, s:o, s:I, s:o}", "shots", x->count, "distance", quantiles(nearest, n),
                          "near_duplicates", (json_int_t)count_near(nearest, n), "pairs", pairs);
    free(nearest);
    return j;
}

Status diversity_measure(Ledger *l, int most, const char *index, json_t **out)
{
    Shots s;
    LooksIndex x = {0};
    *out = NULL;
    Status status = read_shots(l, &s);
    if (!failed(status) && index) status = looks_index_read(index, s.campaign, &x);
    if (!failed(status)) {
        *out = compare_own(&s, most);
        if (index) json_object_set_new(*out, "others", compare_others(&s, &x));
    }
    looks_index_clear(&x);
    clear(&s);
    return status;
}

Status diversity_publish(Ledger *l, const char *index)
{
    Shots s;
    LooksIndex own = {0};
    Status status = read_shots(l, &s);
    for (int64_t i = 0; i < s.count && !failed(status); i++)
        looks_index_add(&own, s.campaign, s.shot[i].key, &s.shot[i].looks);
    if (!failed(status) && own.count) status = looks_index_write(index, s.campaign, &own);
    looks_index_clear(&own);
    clear(&s);
    return status;
}
