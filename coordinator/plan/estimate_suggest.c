/* estimate_suggest.c - what would make a night cheaper: each is played, and said where it saves something. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/moment.h"
#include "common/plural.h"
#include "common/shell.h"
#include "coordinator/plan/amount.h"
#include "coordinator/plan/suggest.h"

enum { ENOUGH_STEPS = 8 /* with fewer there is nothing to leave out */ };
static const double worth_it = 0.95; /* of the time without */

static double median_with(const Night *n)
{
    SmallNight small;
    NightForecast f;
    night_make_small(n, NIGHT_SMALL, &small);
    night_forecast(&small.night, 0, (NightEffort){1, 20, 0.3}, &f);
    night_small_clear(&small);
    return f.p50_s;
}

SuggestBase suggest_base(const Estimate *p) { return (SuggestBase){p->forecast.p50_s, median_with(&p->by.night)}; }

double suggest_time(const SuggestBase *b, const Night *with)
{
    return isfinite(b->median_s) && b->median_s > 0 ? b->now_s * median_with(with) / b->median_s : median_with(with);
}

typedef struct {
    const Estimate *estimate;
    const SuggestBase *base;
    json_t *list;
} Suggestions;

/* "TEXT: done after 80 s instead of 1:40 min, at a cost of 0.40 instead of 0.50", where that is worth it. */
static void suggest_done(Suggestions *to, double with_s, const char *text, const char *but)
{
    const EstimateOptions *o = to->estimate->o;
    const double now_s = to->base->now_s, an_hour = o->node_cost * to->estimate->by.night.nodes / 3600;
    char with[32], now[32];
    if (!(with_s > 0 && with_s < worth_it * now_s)) return; /* 0: never */
    char *cost = o->node_cost > 0 ? text_format(", at a cost of %s instead of %s", amount_cost(with_s * an_hour).text,
                                                amount_cost(now_s * an_hour).text)
                                  : text_copy("");
    json_array_append_new(to->list, json_sprintf("%s: done after %s instead of %s%s%s", text,
                                                 moment_length(with_s, with), moment_length(now_s, now), cost, but));
    free(cost);
}

static void suggest(Suggestions *to, const Night *with, const char *text, const char *but)
{
    suggest_done(to, suggest_time(to->base, with), text, but);
}

static const ShotSpec *any_shot(const Estimate *p)
{
    return p->campaign->shot_count ? &p->campaign->shot[0].spec : NULL;
}

/* "`name` (prompt) and `place` (prompt, image)" */
static char *columns_text(const json_t *finding)
{
    const json_t *columns = json_object_get(finding, "columns"), *keys = json_object_get(finding, "keys");
    char *text = text_copy("");
    for (size_t i = 0; i < json_array_size(columns); i++) {
        char *longer =
            text_format("%s%s`%s` (%s)", text, i ? " and " : "", json_string_value(json_array_get(columns, i)),
                        json_string_value(json_array_get(keys, i)));
        free(text);
        text = longer;
    }
    return text;
}

static void suggest_sharing(Suggestions *to, const json_t *sharing)
{
    size_t i;
    const json_t *finding;
    json_array_foreach(sharing, i, finding)
    {
        const long long before = json_integer_value(json_object_get(finding, "shots")),
                        left = json_integer_value(json_object_get(finding, "shots_without"));
        const bool one_seed = json_is_true(json_object_get(finding, "one_seed")),
                   no_column = json_array_size(json_object_get(finding, "columns")) == 0;
        char *columns = columns_text(finding),
             *what = no_column ? text_copy("one seed for all (`seed: 7`)")
                               : text_format("%s left out of the renders, told by voice or overlays instead%s", columns,
                                             one_seed ? ", and one seed for all (`seed: 7`)" : ""),
             *text = text_format("%s: %lld render%s instead of %lld", what, left, plural_s(left), before);
        suggest_done(to, json_number_value(json_object_get(finding, "finish_p50")), text, "");
        free(columns);
        free(what);
        free(text);
    }
}

static void suggest_split(Suggestions *to, const json_t *splits)
{
    size_t i;
    const json_t *split;
    json_array_foreach(splits, i, split)
    {
        const int workers = (int)json_integer_value(json_object_get(split, "workers")),
                  group = (int)json_integer_value(json_object_get(split, "group_size"));
        char *text =
            text_format("--workers %d --group-size %d on each node, as the record has measured", workers, group);
        if (!json_is_true(json_object_get(split, "planned")))
            suggest_done(to, json_number_value(json_object_get(split, "finish_p50")), text, "");
        free(text);
    }
}

static void suggest_sharing_at_all(Suggestions *to)
{
    const Campaign *c = to->estimate->campaign;
    if (!c->share_shots)
        json_array_append_new(
            to->list,
            json_string(
                "reuse: {shots: false} renders each row on its own; without it rows that ask for the same share one"));
}

static void suggest_finishers(Suggestions *to)
{
    const Estimate *p = to->estimate;
    if (p->by.night.both) return;
    Night more = p->by.night;
    more.finishers += more.finishers > 1 ? more.finishers / 2 : 1;
    char *text = text_format("--finishers %d on each node", more.finishers);
    suggest(to, &more, text, "");
    free(text);
}

/* Without this share of the denoising. */
static void suggest_less(Suggestions *to, double share, const char *text, const char *but)
{
    const Estimate *p = to->estimate;
    const double render_s = measured_quantile(&p->by.render, 0.5), left = 1 - share * p->by.denoise_s / render_s;
    Night less = p->by.night;
    Measured m = {0};
    for (int i = 0; i < p->by.render.count; i++) measured_add(&m, p->by.render.s[i] * left);
    less.render = (Times){m.s, m.count};
    suggest(to, &less, text, but);
    free(m.s);
}

static void suggest_fewer_steps(Suggestions *to)
{
    const Estimate *p = to->estimate;
    const ShotSpec *s = any_shot(p);
    if (!s || s->steps <= ENOUGH_STEPS || p->by.denoise_s <= 0) return;
    char *text = text_format("steps: %d instead of %d", s->steps * 3 / 4, s->steps);
    suggest_less(to, 0.25, text, "; look at a pilot first");
    free(text);
}

static void suggest_cache(Suggestions *to)
{
    const Estimate *p = to->estimate;
    const ShotSpec *s = any_shot(p);
    if (!s || p->campaign->reused_steps || s->steps <= ENOUGH_STEPS || p->by.denoise_s <= 0) return;
    char *command = shell_suggest("calibrate", p->campaign->file, NULL),
         *text = text_format("`%s`, then reuse: {cache: cache.json}; if %d of %d steps may be reused", command,
                             s->steps / 3, s->steps);
    free(command);
    suggest_less(to, s->steps / 3 / (double)s->steps, text, "");
    free(text);
}

typedef struct {
    char key[HASH_TEXT];
    int64_t shot;
} TrunkKey;

static int by_key(const void *a, const void *b)
{
    return strcmp(((const TrunkKey *)a)->key, ((const TrunkKey *)b)->key);
}

/* Which shots would share their first steps with which, if they all did: -> trunk[shot_count], numbers from 0; how many there are.
 * any_seed: if they also had one seed. */
static int64_t find_trunks(const Campaign *c, bool any_seed, int64_t *trunk)
{
    TrunkKey *key = memory_get((size_t)c->shot_count + 1, sizeof *key);
    int64_t count = 0;
    for (int64_t i = 0; i < c->shot_count; i++) {
        ShotSpec s = c->shot[i].spec;
        s.trunk_prompt = (char *)(uintptr_t) "";
        s.trunk_steps = 0;
        if (any_seed) s.seed = 0;
        s = shot_trunk(&s);
        shot_key(&s, c->model_hash, key[i].key);
        key[i].shot = i;
    }
    qsort(key, (size_t)c->shot_count, sizeof *key, by_key);
    for (int64_t i = 0; i < c->shot_count; i++) {
        count += i == 0 || strcmp(key[i].key, key[i - 1].key) != 0;
        trunk[key[i].shot] = count - 1;
    }
    free(key);
    return count;
}

/* Half of the steps: behind it a trunk decides what the clip shows (configs/README.md, measured on the sample model). */
static void suggest_trunk(Suggestions *to)
{
    const Estimate *p = to->estimate;
    const Campaign *c = p->campaign;
    const ShotSpec *s = any_shot(p);
    if (!s || p->trunk || s->steps <= ENOUGH_STEPS || p->by.denoise_s <= 0) return;
    int64_t *trunk = memory_get((size_t)c->shot_count, sizeof *trunk);
    int64_t count = find_trunks(c, false, trunk);
    const bool one_seed = 2 * count > c->shot_count;
    if (one_seed) count = find_trunks(c, true, trunk);
    if (2 * count <= c->shot_count) {
        const int k = s->steps / 2;
        Night n = p->by.night;
        n.trunk = trunk;
        n.trunk_share = (double)k / s->steps * p->by.denoise_s / measured_quantile(&p->by.render, 0.5);
        char *text = text_format("reuse: {trunk_steps: %d}%s: %lld trunk%s for %lld renders", k,
                                 one_seed ? " and `seed: 7`" : "", (long long)count, count == 1 ? "" : "s",
                                 (long long)c->shot_count);
        suggest(to, &n, text, "; look at a pilot first, clips become more alike");
        free(text);
    }
    free(trunk);
}

json_t *estimate_suggestions(const Estimate *p, const SuggestBase *base, const json_t *sharing, const json_t *splits)
{
    Suggestions s = {p, base, json_array()}, *to = &s;
    suggest_sharing(to, sharing);
    suggest_sharing_at_all(to);
    suggest_split(to, splits);
    suggest_finishers(to);
    suggest_fewer_steps(to);
    suggest_cache(to);
    suggest_trunk(to);
    return s.list;
}
