#include "campaign.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/finish_spec.h"
#include "common/log.h"
#include "common/shell.h"
#include "coordinator/campaign/cache.h"
#include "coordinator/campaign/cameo.h"
#include "coordinator/campaign/customers_text.h"
#include "coordinator/campaign/finish_keys.h"
#include "coordinator/campaign/landing.h"
#include "coordinator/campaign/length.h"
#include "coordinator/campaign/licence.h"
#include "coordinator/campaign/load.h"
#include "coordinator/campaign/media.h"
#include "coordinator/campaign/model_files.h"
#include "coordinator/campaign/rendition.h"
#include "coordinator/campaign/shot_keys.h"
#include "coordinator/campaign/suppress.h"
#include "coordinator/campaign/variants.h"

Place campaign_place(const CampaignLoad *l, const char *key)
{
    return (Place){l->campaign->file, campaign_file_line(&l->file, key), key};
}

static void read_model(CampaignLoad *l)
{
    if (!l->file.model) return;
    l->campaign->model_folder = path_join(l->campaign->folder, l->file.model);
    Status s = model_config_read(l->campaign->model_folder, &l->campaign->model);
    if (failed(s)) faults_add(l->faults, campaign_place(l, "model"), "%s", s.message);
}

static CustomersOptions customers_options(CampaignLoad *l)
{
    const CampaignFile *f = &l->file;
    CustomersOptions o = {.seed_is_column = f->seed && strcmp(f->seed, "{{seed}}") == 0};
    if (f->id && strcmp(f->id, "id") != 0) o.id = f->id;
    if (!f->encoding || strcmp(f->encoding, "auto") == 0) return o;
    if (customers_text_knows(f->encoding))
        o.encoding = f->encoding;
    else
        faults_add(l->faults, campaign_place(l, "encoding"),
                   "%s, expected auto, utf-8, utf-16, windows-1252 or another that iconv knows",
                   quoted(f->encoding).text);
    return o;
}

static void read_customers(CampaignLoad *l)
{
    l->campaign->customers.id_column = -1;
    if (!l->file.customers) return;
    const CustomersOptions options = customers_options(l);
    char *file = l->campaign->customers_file = path_join(l->campaign->folder, l->file.customers);
    if (file_exists(file))
        customers_read(file, &options, l->faults, &l->campaign->customers);
    else
        faults_add(l->faults, campaign_place(l, "customers"), "%s: no such file", file);
}

/* ---- settings of the shots ---- */

static void set_size(const CampaignFile *f, ShotSpec *s)
{
    s->width = f->size[0];
    s->height = f->size[1];
}
static void set_fps(const CampaignFile *f, ShotSpec *s) { s->fps = f->fps; }
static void set_steps(const CampaignFile *f, ShotSpec *s) { s->steps = f->steps; }
static void set_guidance(const CampaignFile *f, ShotSpec *s) { s->guidance = f->guidance; }
static void set_guidance_2(const CampaignFile *f, ShotSpec *s) { s->guidance_2 = f->guidance_2; }
static void set_flow_shift(const CampaignFile *f, ShotSpec *s) { s->flow_shift = f->flow_shift; }

/* 0 is the word "voice": each shot is as long as what is said in it. */
static void set_frames(const CampaignFile *f, ShotSpec *s)
{
    if (f->frames)
        s->frames = f->frames;
    else
        s->frames_most = (int)(f->voice.longest * s->fps);
}

/* Not every solver takes every grid of noise levels: whichever of the two keys is checked, both are set. */
static void set_schedule(const CampaignFile *f, ShotSpec *s)
{
    if (*f->scheduler) snprintf(s->scheduler, sizeof s->scheduler, "%s", f->scheduler);
    if (*f->sigmas) shot_set_sigmas(s, f->sigmas);
}

static const struct {
    const char *key;
    void (*set)(const CampaignFile *f, ShotSpec *s);
} setting[] = {{"size", set_size},
               {"frames", set_frames},
               {"fps", set_fps},
               {"steps", set_steps},
               {"guidance", set_guidance},
               {"guidance_2", set_guidance_2},
               {"flow_shift", set_flow_shift},
               {"scheduler", set_schedule},
               {"sigmas", set_schedule}};
enum { SETTING_COUNT = (int)(sizeof setting / sizeof *setting) };

void campaign_settings(const CampaignLoad *l, ShotSpec *s)
{
    for (int i = 0; i < SETTING_COUNT; i++)
        if (campaign_file_has(&l->file, setting[i].key)) setting[i].set(&l->file, s);
}

/* "frames = 30, expected ..." is said at the key's own line, so its name need not be said again. */
static void add_model_fault(CampaignLoad *l, Place place, const char *message)
{
    size_t n = place.field ? strlen(place.field) : 0;
    bool named = n && strncmp(message, place.field, n) == 0 && strncmp(message + n, " = ", 3) == 0;
    faults_add(l->faults, place, "%s", named ? message + n + 3 : message);
}

/* Stands for a model that cannot be read, so that settings that no Wan model takes are faults in the same list. */
static const ModelConfig *any_model(void)
{
    static char folder[] = "the model";
    static const ModelConfig any = {.folder = folder,
                                    .vae = {.scale_space = 8, .scale_time = 4},
                                    .dit = {.patch = {1, 2, 2}, .rope_max_len = 1024},
                                    .two_transformers = true,
                                    .defaults = {.width = 832,
                                                 .height = 480,
                                                 .frames = 81,
                                                 .fps = 16,
                                                 .steps = 50,
                                                 .guidance = 5,
                                                 .flow_shift = 3,
                                                 .scheduler = "unipc"}};
    return &any;
}

/* The model's defaults with the file's keys in their place. Each key is tried alone first, because the check stops
 * at the first fault. */
static void check_settings(CampaignLoad *l)
{
    const ModelConfig *m = l->campaign->model ? l->campaign->model : any_model();
    int64_t before = faults_count(l->faults);
    l->base = m->defaults;
    campaign_settings(l, &l->base);
    for (int i = 0; i < SETTING_COUNT; i++) {
        Place place = campaign_place(l, setting[i].key);
        if (!campaign_file_has(&l->file, setting[i].key)) continue;
        if (i > 0 && setting[i].set == setting[i - 1].set && campaign_file_has(&l->file, setting[i - 1].key)) continue;
        ShotSpec alone = m->defaults;
        setting[i].set(&l->file, &alone);
        Status s = model_config_check_shot(m, &alone);
        if (failed(s)) add_model_fault(l, place, s.message);
    }
    Status s = model_config_check_shot(m, &l->base);
    if (failed(s) && faults_count(l->faults) == before) add_model_fault(l, campaign_place(l, "model"), s.message);
    char advice[DISTILLED_ADVICE];
    if (distilled_advice(&m->distilled, &l->base, advice))
        faults_warn(l->faults, campaign_place(l, "model"), "", "was %s", advice);
}

/* The keys of `reuse` that concern steps. The last step is always a shot's own: shots that shared all steps would be one clip. */
static void check_reuse(CampaignLoad *l)
{
    const CampaignFile *f = &l->file;
    ShotSpec *s = &l->base;
    const char *const piece[] = {f->trunk_steps ? "reuse.trunk_steps" : NULL,
                                 campaign_is_given(f->cache) ? "reuse.cache" : NULL};
    for (int i = 0; i < 2 && l->campaign->model->dit.sound_count; i++)
        if (piece[i])
            faults_add(l->faults, campaign_place(l, piece[i]),
                       "%s speaks: it makes a video in several pieces, for which this is "
                       "not measured; leave the key out",
                       f->model);
    if (f->trunk_steps >= s->steps && s->steps > 0 && f->trunk_steps > 0)
        faults_add(l->faults, campaign_place(l, "reuse.trunk_steps"), "%d, expected 0 to %d: %s %d steps",
                   f->trunk_steps, s->steps - 1,
                   campaign_file_has(&l->file, "steps") ? "steps says" : "the model takes", s->steps);
    else
        s->trunk_steps = f->trunk_steps;
    if (f->trunk_prompt && !f->trunk_steps)
        faults_warn(l->faults, campaign_place(l, "reuse.trunk_prompt"), "",
                    "changes nothing without trunk_steps, the number of steps that it is for");
    if (f->guided_to >= f->guided_from)
        faults_add(l->faults, campaign_place(l, f->guided_to > 0 ? "reuse.guided_to" : "reuse.guided_from"),
                   "%g, expected less than guided_from = %g: noise falls from 1 to 0", f->guided_to, f->guided_from);
    else if (f->guided_from < 1 || f->guided_to > 0) {
        s->guided_from = f->guided_from;
        s->guided_to = f->guided_to;
    }
}

/* The render is fitted into the rendition; a wide one into a tall one leaves most of it black. */
static void warn_of_bars(CampaignLoad *l, const Rendition *r, Place place)
{
    enum { MUCH = 50 }; /* percent; 4:3 in 16:9 leaves 25, a square in 9:16 44, 16:9 in 9:16 68 */
    const int black = (int)(100 * rendition_black(r, l->base.width, l->base.height) + 0.5);
    if (black >= MUCH)
        faults_warn(l->faults, place, "",
                    "%s is %dx%d and the render %dx%d: %d %% of the picture stay black; choose a size of "
                    "the rendition's shape",
                    r->name, r->width, r->height, l->base.width, l->base.height, black);
}

/* A picture of eight times as many pixels as were rendered looks soft. Renders of less than a hundred pixels square are tries: nothing is said. */
static void warn_of_enlargement(CampaignLoad *l, Place place, const Rendition *r)
{
    enum { MOST_TIMES = 8, LEAST_PIXELS = 100 * 100 };
    const int64_t from = (int64_t)l->base.width * l->base.height, to = (int64_t)r->width * r->height;
    if (from >= LEAST_PIXELS && to >= MOST_TIMES * from)
        faults_warn(l->faults, place, "",
                    "%s makes %dx%d of renders of %dx%d, %lld times as many pixels: it will look soft; render larger "
                    "(size:) or take a smaller rendition",
                    r->name, r->width, r->height, l->base.width, l->base.height, (long long)(to / from));
}

static void check_renditions(CampaignLoad *l)
{
    Campaign *c = l->campaign;
    const YamlWords *words = &l->file.renditions;
    for (int i = 0; i < words->count; i++) {
        Place place = campaign_place(l, "renditions");
        if (words->line[i]) place.line = words->line[i];
        bool again = false;
        for (int k = 0; k < i; k++) again = again || strcmp(words->word[k], words->word[i]) == 0;
        if (again)
            faults_add(l->faults, place, "%s is there twice", quoted(words->word[i]).text);
        else if (c->rendition_count == MAX_RENDITIONS)
            faults_add(l->faults, place, "more than %d of them", MAX_RENDITIONS);
        else if (rendition_find(words->word[i], l->base.width, l->base.height, place, l->faults,
                                &c->rendition[c->rendition_count])) {
            warn_of_bars(l, &c->rendition[c->rendition_count], place);
            warn_of_enlargement(l, place, &c->rendition[c->rendition_count++]);
        }
    }
}

/* How long a platform's clips are: a shorter one is held on its last frame, a longer one is no clip for it. */
static void check_lengths(CampaignLoad *l)
{
    const Campaign *c = l->campaign;
    if (l->base.fps < 1) return;
    const bool follows = l->base.frames_most > 0;
    const double seconds = campaign_longest_s(&l->base);
    for (int i = 0; i < c->rendition_count; i++) {
        const Rendition *r = &c->rendition[i];
        if (r->max_s > 0 && seconds > r->max_s)
            faults_add(l->faults, campaign_place(l, "renditions"),
                       "%s takes clips of at most %g s, and these have %s%.3g s: give %s, or leave it out", r->name,
                       r->max_s, follows ? "up to " : "", seconds,
                       follows ? "a smaller voice.longest" : "fewer frames");
        if (seconds < r->min_s && campaign_file_line(&l->file, "renditions"))
            faults_warn(l->faults, campaign_place(l, "renditions"), "",
                        "%s takes clips of %g s and more, and these have %.3g s: the last frame is held", r->name,
                        r->min_s, seconds);
    }
}

/* What the clips' files depend on beside their shots, as far as it is the same for all (finish_spec.h). */
static char *finish_document(const CampaignLoad *l)
{
    const Campaign *c = l->campaign;
    json_t *keys = json_object();
    json_object_set_new(keys, "renditions", finish_spec_renditions(c->rendition, c->rendition_count));
    if (l->cameo) json_object_set_new(keys, "trust", campaign_cameo_document(l->cameo));
    finish_keys_campaign(l->finish, keys);
    if (l->landing) json_object_set_new(keys, "page", landing_document(l->landing));
    campaign_add_proofs(l, keys);
    return finish_spec_text(keys);
}

/* Without a trunk_prompt the trunk is told what all prompts have in common: the template without its variables. Not a mean of the
 * rows' embeddings: one late row would then change every clip of the campaign. */
static void compile_trunk(CampaignLoad *l)
{
    const CampaignFile *f = &l->file;
    size_t room = 0;
    if (!f->trunk_steps) return;
    if (f->trunk_prompt)
        l->trunk =
            template_new(f->trunk_prompt, &l->campaign->customers, campaign_place(l, "reuse.trunk_prompt"), l->faults);
    else
        template_expand(l->prompt, &l->campaign->customers, -1, &l->trunk_prompt, &room);
}

static void compile_templates(CampaignLoad *l)
{
    const Customers *c = &l->campaign->customers;
    const CampaignFile *f = &l->file;
    const char *negative = f->negative ? f->negative : l->campaign->model ? l->campaign->model->defaults.negative : "";
    l->prompt = template_new(f->prompt ? f->prompt : "", c, campaign_place(l, "prompt"), l->faults);
    l->negative = template_new(negative, c, campaign_place(l, "negative"), l->faults);
    if (f->seed) l->seed = template_new(f->seed, c, campaign_place(l, "seed"), l->faults);
    compile_trunk(l);
}

static void check_all(CampaignLoad *l)
{
    campaign_read_run_keys(l);
    read_model(l);
    read_customers(l);
    variants_add(l);
    campaign_model_check(l);
    check_settings(l);
    if (l->campaign->model) check_reuse(l);
    check_renditions(l);
    check_lengths(l);
    campaign_check_proofs(l);
    compile_templates(l);
    licence_check(l);
    l->cameo = campaign_cameo_new(l);
    l->campaign->settings.list_bom = l->campaign->customers.bom;
    campaign_read_delivery(l);
    l->media = campaign_media_new(l);
    l->finish = finish_keys_new(l);
    l->landing = landing_new(l);
    if (l->file.prompt) campaign_check_rows(l);
    licence_check_adapters(l);
}

/* Which steps the shots leave out. */
static void read_cache(CampaignLoad *l)
{
    Campaign *c = l->campaign;
    if (!campaign_is_given(l->file.cache)) return;
    char *path = path_join(c->folder, l->file.cache), *word = shell_word(c->file), *out = shell_word(path);
    Status status = campaign_cache_read(path, &l->base, c->model_hash, &c->reused_steps, &l->cache_adapters);
    if (failed(status))
        faults_add(l->faults, campaign_place(l, "reuse.cache"), "%s; `reelwright calibrate %s --output %s` measures it",
                   status.message, word, out);
    else if (!c->reused_steps)
        faults_warn(l->faults, campaign_place(l, "reuse.cache"), "",
                    "leaves nothing out: no step kept to the bound when it was measured");
    l->base.reused_steps = c->reused_steps;
    free(path);
    free(word);
    free(out);
}

/* A cache holds for the adapters that it was measured with. */
static void check_cache_adapters(const CampaignLoad *l)
{
    const Campaign *c = l->campaign;
    for (int64_t i = 0; i < c->shot_count && c->reused_steps; i++) {
        char *adapters = shot_adapters(&c->shot[i].spec);
        const bool same = strcmp(adapters, l->cache_adapters) == 0;
        if (!same)
            faults_add(l->faults, campaign_place(l, "reuse.cache"),
                       "was measured with %s%s, and a render has %s; `reelwright calibrate` measures a campaign "
                       "whose rows all have the same",
                       *l->cache_adapters ? "the adapter " : "no adapters", l->cache_adapters,
                       *adapters ? adapters : "none");
        free(adapters);
        if (!same) return;
    }
}

static Status load(const char *file, bool with_cache, Campaign **out)
{
    char *text = NULL;
    size_t bytes;
    *out = NULL;
    if (file_is_folder(file)) return status_fail(ERR_INPUT, "%s is a folder, expected a campaign file", file);
    TRY(file_read(file, YAML_MAX_BYTES, &text, &bytes));
    Campaign *c = memory_get(1, sizeof *c);
    CampaignLoad l = {.campaign = c, .faults = faults_new()};
    c->file = text_copy(file);
    c->folder = path_folder(file);
    Status status = status_ok();
    if (campaign_file_parse(file, text, bytes, l.faults, &l.file)) check_all(&l);
    TRY_OUT(faults_status(l.faults));
    TRY_OUT(model_config_hash(c->model_folder, c->model_hash)); /* reads every weight: only when all else is right */
    if (with_cache) read_cache(&l);
    TRY_OUT(faults_status(l.faults));
    c->name = text_copy(l.file.campaign);
    c->checkpoint_every = l.file.checkpoint_every;
    c->share_shots = l.file.reuse_shots;
    c->finish = finish_document(&l);
    c->shot_keys = shot_keys_find(&l);
    campaign_plan(&l);
    c->row_seeds = !l.seed;
    check_cache_adapters(&l);
    TRY_OUT(finish_keys_look(l.finish));
    TRY_OUT(faults_status(l.faults));
    campaign_model_warn(&l);
    c->warnings = faults_take_warnings(l.faults);
    *out = c;
    c = NULL;
out:
    free(text);
    campaign_free(&c);
    template_free(&l.prompt);
    template_free(&l.negative);
    template_free(&l.seed);
    template_free(&l.trunk);
    free(l.trunk_prompt);
    free(l.cache_adapters);
    campaign_cameo_free(&l.cameo);
    campaign_media_free(&l.media);
    finish_keys_free(&l.finish);
    landing_free(&l.landing);
    suppress_free(&l.suppress);
    campaign_model_close(&l);
    campaign_file_clear(&l.file);
    faults_free(&l.faults);
    return status;
}

Status campaign_load(const char *file, Campaign **out) { return load(file, true, out); }
Status campaign_load_without_cache(const char *file, Campaign **out) { return load(file, false, out); }

void campaign_tell_warnings(const Campaign *c)
{
    for (int i = 0; i < c->warnings.count; i++) log_line(LOG_WARNING, "%s", c->warnings.warning[i].message);
}

void campaign_free(Campaign **c)
{
    if (!*c) return;
    Campaign *p = *c;
    free(p->file);
    free(p->name);
    free(p->folder);
    free(p->model_folder);
    free(p->customers_file);
    free(p->finish);
    free(p->reused_steps);
    settings_clear(&p->settings);
    warnings_clear(&p->warnings);
    model_config_free(&p->model);
    shot_keys_free(&p->shot_keys, p->customers.column_count);
    customers_free(&p->customers);
    for (int64_t i = 0; i < p->clip_count; i++) free(p->clip[i].refusal);
    for (int64_t i = 0; i < p->shot_count; i++) shot_media_free(&p->shot[i].spec.media);
    free(p->clip);
    free(p->shot);
    texts_free(&p->plan_text);
    free(p);
    *c = NULL;
    malloc_trim(0); /* a million rows were 600 MB, and the process may live all night */
}
