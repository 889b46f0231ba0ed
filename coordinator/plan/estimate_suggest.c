/* estimate_suggest.c - what would make a night cheaper: each is played, and said where it saves something. */
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/plan/estimate.h"

enum { ENOUGH_STEPS = 8 /* with fewer there is nothing to leave out */, MOST_COMPARED = 2000 };
static const double worth_it = 0.95; /* of the time without */

static double median_with(Night n)
{
    NightForecast f;
    night_forecast(&n, 0, (NightEffort){1, 20, 0.3}, &f);
    return f.p50_s;
}

/* "TEXT: done after 80 s instead of 100 s", where that is worth it; both by the same chances. */
static void suggest(json_t *list, const Estimate *p, const Night *with, const char *text, const char *but)
{
    const double now_s = p->forecast.p50_s, with_s = now_s * median_with(*with) / median_with(p->night);
    if (!(with_s < worth_it * now_s)) return;
    char *line = text_format("%s: done after %.0f s instead of %.0f s%s", text, with_s, now_s, but);
    json_array_append_new(list, json_string(line));
    free(line);
}

static const ShotSpec *any_shot(const Estimate *p)
{
    return p->campaign->shot_count ? &p->campaign->shot[0].spec : NULL;
}

static int64_t count_distinct_prompts(const Campaign *c)
{
    int64_t distinct = 0;
    const int64_t most = c->shot_count < MOST_COMPARED ? c->shot_count : MOST_COMPARED; /* whether prompts repeat */
    for (int64_t i = 0; i < most; i++) {
        bool again = false;
        for (int64_t k = 0; k < i && !again; k++) again = strcmp(c->shot[i].spec.prompt, c->shot[k].spec.prompt) == 0;
        distinct += !again;
    }
    return c->shot_count > most ? distinct * c->shot_count / most : distinct;
}

static void suggest_one_seed(json_t *list, const Estimate *p)
{
    const int64_t prompts = count_distinct_prompts(p->campaign);
    if (prompts >= p->campaign->shot_count) return;
    Night n = p->night;
    int64_t *clips = memory_get((size_t)prompts + 1, sizeof *clips);
    for (int64_t i = 0; i < prompts; i++) clips[i] = p->clip_count / prompts + (i < p->clip_count % prompts);
    n.shots = prompts;
    n.clips = clips;
    n.trunk = NULL; /* of other shots */
    char *text = text_format("one seed for all (`seed: 7`): about %lld renders instead of %lld", (long long)prompts,
                             (long long)p->campaign->shot_count);
    suggest(list, p, &n, text, "");
    free(text);
    free(clips);
}

static void suggest_finishers(json_t *list, const Estimate *p)
{
    if (p->night.both) return;
    Night more = p->night;
    more.finishers += more.finishers > 1 ? more.finishers / 2 : 1;
    char *text = text_format("--finishers %d on each node", more.finishers);
    suggest(list, p, &more, text, "");
    free(text);
}

/* Without this share of the denoising. */
static void suggest_less(json_t *list, const Estimate *p, double share, const char *text, const char *but)
{
    const double render_s = measured_quantile(&p->render, 0.5), left = 1 - share * p->denoise_s / render_s;
    Night less = p->night;
    Measured m = {0};
    for (int i = 0; i < p->render.count; i++) measured_add(&m, p->render.s[i] * left);
    less.render = (Times){m.s, m.count};
    suggest(list, p, &less, text, but);
    free(m.s);
}

static void suggest_fewer_steps(json_t *list, const Estimate *p)
{
    const ShotSpec *s = any_shot(p);
    if (!s || s->steps <= ENOUGH_STEPS || p->denoise_s <= 0) return;
    char *text = text_format("steps: %d instead of %d", s->steps * 3 / 4, s->steps);
    suggest_less(list, p, 0.25, text, "; look at a pilot first");
    free(text);
}

static void suggest_cache(json_t *list, const Estimate *p)
{
    const ShotSpec *s = any_shot(p);
    if (!s || p->campaign->reused_steps || s->steps <= ENOUGH_STEPS || p->denoise_s <= 0) return;
    char *text = text_format("`reelwright calibrate`, then reuse: {cache: cache.json}; if %d of %d steps may be reused",
                             s->steps / 3, s->steps);
    suggest_less(list, p, s->steps / 3 / (double)s->steps, text, "");
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

int64_t estimate_trunks(const Campaign *c, bool any_seed, int64_t *trunk)
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
static void suggest_trunk(json_t *list, const Estimate *p)
{
    const Campaign *c = p->campaign;
    const ShotSpec *s = any_shot(p);
    if (!s || p->trunk || s->steps <= ENOUGH_STEPS || p->denoise_s <= 0) return;
    int64_t *trunk = memory_get((size_t)c->shot_count, sizeof *trunk);
    int64_t count = estimate_trunks(c, false, trunk);
    const bool one_seed = 2 * count > c->shot_count;
    if (one_seed) count = estimate_trunks(c, true, trunk);
    if (2 * count <= c->shot_count) {
        const int k = s->steps / 2;
        Night n = p->night;
        n.trunk = trunk;
        n.trunk_share = (double)k / s->steps * p->denoise_s / measured_quantile(&p->render, 0.5);
        char *text = text_format("reuse: {trunk_steps: %d}%s: %lld trunk%s for %lld renders", k,
                                 one_seed ? " and `seed: 7`" : "", (long long)count, count == 1 ? "" : "s",
                                 (long long)c->shot_count);
        suggest(list, p, &n, text, "; look at a pilot first, clips become more alike");
        free(text);
    }
    free(trunk);
}

json_t *estimate_suggestions(const Estimate *p)
{
    json_t *list = json_array();
    suggest_one_seed(list, p);
    suggest_finishers(list, p);
    suggest_fewer_steps(list, p);
    suggest_cache(list, p);
    suggest_trunk(list, p);
    return list;
}
