#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define uthash_fatal(message) abort()
#include <uthash.h>

#include "common/file.h"
#include "common/likeness.h"
#include "common/plural.h"
#include "coordinator/campaign/alike.h"
#include "coordinator/campaign/cameo.h"
#include "coordinator/campaign/finish_keys.h"
#include "coordinator/campaign/landing.h"
#include "coordinator/campaign/length.h"
#include "coordinator/campaign/load.h"
#include "coordinator/campaign/media.h"
#include "coordinator/campaign/stem.h"

typedef struct { /* the expanded texts of one row; they grow and are used again for the next */
    char *prompt, *negative, *seed, *trunk;
    size_t prompt_room, negative_room, seed_room, trunk_room;
} RowTexts;

static void free_texts(RowTexts *t)
{
    free(t->prompt);
    free(t->negative);
    free(t->seed);
    free(t->trunk);
}

/* ---- checks of the rows ---- */

static bool parse_seed(const char *text, uint64_t *seed)
{
    size_t n = strlen(text);
    if (n < 1 || strspn(text, "0123456789") != n) return false;
    errno = 0;
    *seed = strtoull(text, NULL, 10);
    return errno == 0;
}

/* Where a fault of this row is told: in the customers' line, at the first column of the template; at the key if it
 * has none. */
static Place row_place(const CampaignLoad *l, const Template *t, const char *key, int64_t row)
{
    const Customers *c = &l->campaign->customers;
    int column = template_first_column(t);
    if (column < 0) return campaign_place(l, key);
    return (Place){l->campaign->customers_file, c->line[row], c->column[column]};
}

/* The row gives every variable of the template a value. */
static bool check_values(const CampaignLoad *l, const Template *t, const char *key, int64_t row)
{
    const Customers *c = &l->campaign->customers;
    int missing = template_missing(t, c, row);
    if (missing < 0) return true;
    Place place = {l->campaign->customers_file, c->line[row], c->column[missing]};
    faults_add(l->faults, place, "empty, and %s in %s:%d has no fallback; expected a value, or {{%.60s|...}} there",
               key, path_name(l->campaign->file), campaign_file_line(&l->file, key), c->column[missing]);
    return false;
}

static void check_prompt(const CampaignLoad *l, RowTexts *t, int64_t row)
{
    if (!check_values(l, l->prompt, "prompt", row)) return;
    size_t n = template_expand(l->prompt, &l->campaign->customers, row, &t->prompt, &t->prompt_room);
    Place place = row_place(l, l->prompt, "prompt", row);
    if (text_is_blank(t->prompt))
        faults_add(l->faults, place, "the prompt is empty; expected what the clip shows");
    else if (n > CAMPAIGN_MAX_PROMPT_BYTES)
        faults_add(l->faults, place, "the prompt has %zu bytes, expected at most %d", n, CAMPAIGN_MAX_PROMPT_BYTES);
}

static void check_seed(const CampaignLoad *l, RowTexts *t, int64_t row)
{
    uint64_t seed;
    if (!l->seed || !check_values(l, l->seed, "seed", row)) return;
    template_expand(l->seed, &l->campaign->customers, row, &t->seed, &t->seed_room);
    if (!parse_seed(t->seed, &seed))
        faults_add(l->faults, row_place(l, l->seed, "seed", row), "%s%s, expected a whole number from 0 to %" PRIu64,
                   quoted(t->seed).text, template_is_constant(l->seed) ? "" : " as the seed", UINT64_MAX);
}

void campaign_check_rows(CampaignLoad *l)
{
    RowTexts t = {0};
    int64_t rows = l->campaign->customers.row_count;
    /* a template that no row changes is checked once */
    int64_t prompt_rows = template_is_constant(l->prompt) ? rows > 0 : rows;
    int64_t seed_rows = !l->seed || template_is_constant(l->seed) ? rows > 0 : rows;
    for (int64_t row = 0; row < rows; row++) {
        if (row < prompt_rows) check_prompt(l, &t, row);
        check_values(l, l->negative, "negative", row);
        if (l->trunk) check_values(l, l->trunk, "reuse.trunk_prompt", row);
        if (row < seed_rows) check_seed(l, &t, row);
        campaign_media_check(l->media, row);
        campaign_cameo_check(l->cameo, row);
        finish_keys_check(l->finish, row);
        landing_check(l->landing, row);
    }
    free_texts(&t);
}

/* ---- the plan ---- */

typedef struct {
    CampaignLoad *l;
    RowTexts texts;
    bool trunk_told;
    Stems *stems;
    int column[CUSTOMERS_MAX_COLUMNS]; /* those that decide what a shot is beside the rows' own seeds */
    bool has_kinds;
    /* Of rows by those columns. value -1: no row of the kind is planned yet; else its shot, or 0 where each row has a seed of its own. */
    Alike kinds;
    struct ShotEntry *entry, *known; /* by key */
    const char *last_negative;       /* kept already; most campaigns have one */
    const char *last_trunk;          /* the same */
    uint64_t *alike;                 /* what each row's key would begin with, if all had one seed; else NULL */
    int64_t alike_count;
} Planner;

typedef struct ShotEntry {
    UT_hash_handle hh;
} ShotEntry;

static char *keep(Campaign *c, const char *text) { return texts_keep(c->plan_text, text, strlen(text)); }

/* The first 16 digits, as a number. Cuts the text. */
static uint64_t first_bits(char digest[HASH_TEXT])
{
    digest[16] = 0;
    return strtoull(digest, NULL, 16);
}

static uint64_t derive_seed(const char *campaign, const char *id)
{
    char digest[HASH_TEXT];
    Hash *h = hash_begin();
    hash_add_field(h, "campaign", "%s", campaign);
    hash_add_field(h, "id", "%s", id);
    hash_end(h, digest);
    return first_bits(digest) >> 1;
}

static int by_bits(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Without a seed in the file every row is a render of its own, where a line more would let them share. */
static void warn_of_seeds(Planner *p)
{
    const CampaignLoad *l = p->l;
    int64_t alike = 0;
    if (!p->alike) return;
    if (p->alike_count) qsort(p->alike, (size_t)p->alike_count, sizeof *p->alike, by_bits);
    for (int64_t i = 0; i < p->alike_count; i++) alike += i == 0 || p->alike[i] != p->alike[i - 1];
    free(p->alike);
    if (alike < l->campaign->shot_count)
        faults_warn(l->faults, (Place){l->campaign->file, 0, "seed"}, "",
                    "not given: each row has a seed of its own, which makes %" PRId64
                    " renders. With one for all, a line "
                    "`seed: 7`, rows that ask for the same share one: %" PRId64 " render%s",
                    l->campaign->shot_count, alike, plural_s(alike));
}

typedef struct {
    uint64_t bits; /* of the trunk's key */
    int64_t shot;
} TrunkOfShot;

static int by_trunk(const void *a, const void *b)
{
    const uint64_t x = ((const TrunkOfShot *)a)->bits, y = ((const TrunkOfShot *)b)->bits;
    return (x > y) - (x < y);
}

/* Which trunks the shots begin with, and how many; a shot that has a trunk to itself gains nothing and loses what trunks cost. A shot that shares no
 * steps (its adapter has too few) has a number of its own behind those of the trunks. */
static void count_trunks(Planner *p)
{
    const CampaignLoad *l = p->l;
    Campaign *c = l->campaign;
    if (!l->base.trunk_steps || !c->shot_count) return;
    int64_t sharing = 0;
    TrunkOfShot *first = memory_get((size_t)c->shot_count, sizeof *first);
    for (int64_t i = 0; i < c->shot_count; i++) {
        char key[HASH_TEXT];
        if (!c->shot[i].spec.trunk_steps) continue;
        const ShotSpec trunk = shot_trunk(&c->shot[i].spec);
        shot_key(&trunk, c->model_hash, key);
        first[sharing++] = (TrunkOfShot){first_bits(key), i};
    }
    qsort(first, (size_t)sharing, sizeof *first, by_trunk);
    for (int64_t i = 0; i < sharing; i++) {
        c->trunk_count += i == 0 || first[i].bits != first[i - 1].bits;
        c->shot[first[i].shot].trunk = c->trunk_count - 1;
    }
    for (int64_t i = 0, own = c->trunk_count; i < c->shot_count; i++)
        if (!c->shot[i].spec.trunk_steps) c->shot[i].trunk = own++;
    free(first);
    if (c->trunk_count == sharing && sharing > 1)
        faults_warn(
            l->faults, campaign_place(l, "reuse.trunk_steps"), "",
            "no two renders share their first steps: they differ in more than the prompt (%s). It saves nothing "
            "and changes the clips",
            l->seed ? "seed, pictures or trunk_prompt"
                    : "each row has a seed of its own; a line `seed: 7` gives all the same");
}

/* A step-distilled adapter may leave a shot fewer steps than are to be shared; then it shares none. A warning names the first such row. */
static void check_trunk(Planner *p, int64_t row, ShotSpec *spec)
{
    CampaignLoad *l = p->l;
    const Customers *c = &l->campaign->customers;
    if (!spec->trunk_steps || spec->trunk_steps < spec->steps) return;
    if (!p->trunk_told)
        faults_warn(l->faults, campaign_place(l, "reuse.trunk_steps"),
                    c->id_column < 0 ? "" : customers_value(c, row, c->id_column),
                    "renders with a step-distilled adapter take %d step%s, so they do not share the first %d; expected "
                    "0 to %d where they shall",
                    spec->steps, plural_s(spec->steps), spec->trunk_steps, spec->steps - 1);
    p->trunk_told = true;
    spec->trunk_steps = 0;
}

/* The row's shot with borrowed texts and media. */
static void describe_shot(Planner *p, int64_t row, const char *id, ShotSpec *spec)
{
    CampaignLoad *l = p->l;
    const Customers *c = &l->campaign->customers;
    RowTexts *t = &p->texts;
    *spec = l->base;
    template_expand(l->prompt, c, row, &t->prompt, &t->prompt_room);
    template_expand(l->negative, c, row, &t->negative, &t->negative_room);
    spec->prompt = t->prompt;
    spec->negative = t->negative;
    if (l->seed) {
        template_expand(l->seed, c, row, &t->seed, &t->seed_room);
        if (!parse_seed(t->seed, &spec->seed)) abort(); /* campaign_check_rows has seen it */
    } else {
        spec->seed = derive_seed(l->campaign->name, id);
    }
    spec->media = (ShotMedia *)(uintptr_t)campaign_media_of(l->media, row);
    if (spec->frames_most) spec->frames = campaign_likely_frames(spec);
    const Distilled *distilled = campaign_media_distilled(l->media, row);
    if (distilled) {
        distilled_apply(distilled, spec);
        campaign_settings(l, spec);
    }
    check_trunk(p, row, spec);
    if (l->trunk) template_expand(l->trunk, c, row, &t->trunk, &t->trunk_room);
    if (spec->trunk_steps) spec->trunk_prompt = l->trunk ? t->trunk : l->trunk_prompt;
}

static void take_key(const CampaignLoad *l, const ShotSpec *spec, const char *id, char key[HASH_TEXT])
{
    shot_key(spec, l->campaign->model_hash, key);
    if (!l->campaign->share_shots) shot_key_of_row(key, id);
}

/* Index of the shot with this key; a new one keeps copies of the texts. */
static int64_t find_shot(Planner *p, const ShotSpec *spec, const char *key)
{
    Campaign *c = p->l->campaign;
    ShotEntry *entry;
    HASH_FIND(hh, p->known, key, HASH_TEXT - 1, entry);
    if (entry) return entry - p->entry;
    PlannedShot *shot = &c->shot[c->shot_count];
    memcpy(shot->key, key, HASH_TEXT);
    shot->spec = *spec;
    shot->spec.media = shot_media_copy(spec->media);
    shot->spec.prompt = keep(c, spec->prompt);
    if (!p->last_negative || strcmp(p->last_negative, spec->negative) != 0) p->last_negative = keep(c, spec->negative);
    shot->spec.negative = (char *)p->last_negative;
    if (spec->trunk_steps) {
        if (!p->last_trunk || strcmp(p->last_trunk, spec->trunk_prompt) != 0)
            p->last_trunk = keep(c, spec->trunk_prompt);
        shot->spec.trunk_prompt = (char *)p->last_trunk;
    }
    entry = &p->entry[c->shot_count];
    HASH_ADD_KEYPTR(hh, p->known, shot->key, HASH_TEXT - 1, entry);
    return c->shot_count++;
}

static Hash *begin_fingerprint(const CampaignLoad *l)
{
    const Campaign *c = l->campaign;
    Hash *h = hash_begin();
    hash_add_field(h, "campaign", "%s", c->name);
    hash_add_field(h, "model", "%s", c->model_hash);
    hash_add_field(h, "fps", "%d", l->base.fps);
    if (l->base.frames_most) hash_add_field(h, "longest", "%d", l->base.frames_most); /* which no key says */
    hash_add_field(h, "finish", "%s", c->finish);
    if (l->cameo) { /* what shots share, which rows without a cameo have in their keys */
        ShotSpec base = l->base;
        char key[HASH_TEXT];
        base.prompt = base.negative = base.trunk_prompt = (char *)(uintptr_t) "";
        shot_key(&base, "", key);
        hash_add_field(h, "base", "%s", key);
    }
    return h;
}

/* A consent that is given or taken back is no change of the campaign. So a row with a cameo enters by the cameo's id and by its shot without
 * the face, not by the shot's key. */
static void add_to_fingerprint(Hash *h, const PlannedClip *clip, const ShotSpec *spec, const char *cameo,
                               const char *key)
{
    hash_add_field(h, "id", "%s", clip->clip_id);
    hash_add_field(h, "stem", "%s", clip->stem);
    if (clip->finish) hash_add_field(h, "finish", "%s", clip->finish);
    if (clip->suppressed) hash_add_field(h, "suppressed", "yes");
    if (!*cameo) {
        hash_add(h, key, HASH_TEXT - 1);
        return;
    }
    hash_add_field(h, "cameo", "%s", cameo);
    hash_add_field(h, "prompt", "%s", spec->prompt);
    hash_add_field(h, "negative", "%s", spec->negative);
    hash_add_field(h, "seed", "%" PRIu64, spec->seed);
    if (spec->trunk_steps) hash_add_field(h, "trunk", "%s", spec->trunk_prompt);
    const ShotMedia *m = spec->media;
    for (int i = 0; m && i < m->reference_count; i++)
        if (!likeness_is(m->reference[i].path)) hash_add_field(h, "reference", "%s", m->reference[i].sha256);
    for (int i = 0; m && i < m->lora_count; i++)
        hash_add_field(h, "lora", "%s %g %s", m->lora[i].file.sha256, m->lora[i].scale, m->lora[i].expert);
    if (m && m->image.path && !likeness_is(m->image.path)) hash_add_field(h, "image", "%s", m->image.sha256);
    if (m && m->last_image.path) hash_add_field(h, "last_image", "%s", m->last_image.sha256);
    if (m && m->control_video.path)
        hash_add_field(h, "control", "%s %s", m->control_video.sha256, m->control_mask.sha256);
}

/* Consent is each row's own, and so is what a model says that speaks. */
static void find_deciding_columns(Planner *p)
{
    const Campaign *c = p->l->campaign;
    p->has_kinds = c->share_shots && !p->l->cameo && !c->model->dit.sound_count && !p->l->base.frames_most;
    p->kinds = (Alike){.customers = &c->customers, .column = p->column, .fill = -1};
    for (int i = 0; i < c->customers.column_count && p->has_kinds; i++)
        if (c->shot_keys[i]) p->column[p->kinds.column_count++] = i;
}

/* What is known of the row's kind, to be changed; NULL: kinds say nothing. */
static int64_t *known_of_kind(Planner *p, int64_t row)
{
    if (!p->has_kinds) return NULL;
    const int64_t kind = alike_kind(&p->kinds, row);
    return &p->kinds.value[kind];
}

static void count_alike(Planner *p, const ShotSpec *spec)
{
    char key[HASH_TEXT];
    ShotSpec same = *spec;
    same.seed = 0;
    shot_key(&same, p->l->campaign->model_hash, key);
    p->alike[p->alike_count++] = first_bits(key);
}

/* The row's clip: its shot, or why it gets none. */
static void plan_row(Planner *p, int64_t row, Hash *fingerprint)
{
    Campaign *c = p->l->campaign;
    ShotSpec spec;
    CampaignCameoRow who;
    char key[HASH_TEXT] = "";
    PlannedClip *clip = &c->clip[row];
    char *id = c->customers.value[row * c->customers.column_count + c->customers.id_column];
    int64_t *known = known_of_kind(p, row);
    *clip = (PlannedClip){.clip_id = id, .stem = (char *)(uintptr_t)stems_take(p->stems, id), .shot = -1};
    campaign_cameo_ask(p->l->cameo, row, &who);
    clip->refusal = who.refusal;
    if (!clip->refusal) clip->refusal = campaign_suppressed(p->l, row);
    clip->suppressed = clip->refusal && !who.refusal;
    char *own = finish_keys_clip(p->l->finish, row, who.finish);
    if (own) clip->finish = keep(c, own);
    free(own);
    if (known && *known >= 0 && p->l->seed) {
        const PlannedShot *shot = &c->shot[*known];
        if (!clip->refusal) clip->shot = *known;
        add_to_fingerprint(fingerprint, clip, &shot->spec, who.id, shot->key);
        return;
    }
    describe_shot(p, row, id, &spec);
    if (!clip->refusal && p->alike && (!known || *known < 0)) count_alike(p, &spec);
    if (!who.refusal) take_key(p->l, &spec, id, key);
    if (!clip->refusal) clip->shot = find_shot(p, &spec, key);
    if (!clip->refusal && known) *known = p->l->seed ? clip->shot : 0;
    add_to_fingerprint(fingerprint, clip, &spec, who.id, key);
}

void campaign_plan(CampaignLoad *l)
{
    Campaign *c = l->campaign;
    size_t rows = (size_t)c->customers.row_count;
    c->clip = memory_get(rows, sizeof *c->clip);
    c->shot = memory_get(rows, sizeof *c->shot); /* pages that no shot uses are never touched */
    c->plan_text = texts_new();
    Planner p = {.l = l, .stems = stems_new(c->plan_text), .entry = memory_get(rows, sizeof *p.entry)};
    if (!l->seed && c->share_shots) p.alike = memory_get(rows, sizeof *p.alike);
    find_deciding_columns(&p);
    Hash *fingerprint = begin_fingerprint(l);
    c->base = l->base;
    for (; c->clip_count < (int64_t)rows; c->clip_count++) plan_row(&p, c->clip_count, fingerprint);
    hash_end(fingerprint, c->fingerprint);
    warn_of_seeds(&p);
    count_trunks(&p);
    HASH_CLEAR(hh, p.known);
    free(p.entry);
    alike_clear(&p.kinds);
    free_texts(&p.texts);
    stems_free(&p.stems);
    PlannedShot *fit = realloc(c->shot, (size_t)(c->shot_count + 1) * sizeof *c->shot); /* none where all are refused */
    if (fit) c->shot = fit;
    c->media_count = campaign_media_count(l->media);
}
