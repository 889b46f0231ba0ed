#include "media.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define uthash_fatal(message) abort()
#include <uthash.h>

#include "common/file.h"
#include "common/plural.h"
#include "common/shot_file.h"
#include "coordinator/campaign/cameo.h"
#include "coordinator/campaign/finish_keys.h"
#include "coordinator/campaign/model_files.h"
#include "coordinator/campaign/probe.h"

typedef enum {
    KIND_PICTURE = 'p',
    KIND_VIDEO = 'v',   /* or a folder of pictures */
    KIND_ADAPTER = 'a', /* LoRA: for all transformers that the model has, or for one of two */
    KIND_ADAPTER_HIGH = 'h',
    KIND_ADAPTER_LOW = 'l',
    KIND_SOUND = 's'
} FileKind;

typedef struct {
    const char *key;
    Template *text;
    int line; /* of the key, or of the list's item */
    FileKind kind;
    bool needed;
} Slot;

typedef struct { /* one file, looked at once however many rows name it */
    char *key;   /* its kind, then its path */
    char *fault; /* NULL, or what is wrong with it */
    ShotFile file;
    int64_t frames;
    Distilled distilled; /* an adapter that says so */
    UT_hash_handle hh;
} Known;

typedef struct { /* content that several names share (a link, a copy of the path): hashed once */
    struct {
        dev_t device;
        ino_t inode;
        int64_t bytes;
        struct timespec changed;
    } identity;
    char sha256[HASH_TEXT];
    UT_hash_handle hh;
} Content;

enum {
    IMAGE,
    LAST_IMAGE,
    VIDEO,
    MASK,
    REFERENCES,
    LORAS = REFERENCES + SHOT_MAX_REFERENCES,
    SLOTS = LORAS + SHOT_MAX_LORAS
};

struct CampaignMedia {
    CampaignLoad *l;
    Slot slot[SLOTS]; /* those without a template are not asked for */
    bool any, cut_told, distilled_told;
    bool speaks;  /* the model */
    char *speech; /* of the row */
    int scale_count;
    double scale[SHOT_MAX_SCALES];
    char *text; /* an expanded template */
    size_t room;
    Known *known;
    Content *content;
    ShotMedia row; /* borrowed from the known files */
    ShotFile reference[SHOT_MAX_REFERENCES];
    ShotLora lora[SHOT_MAX_LORAS];
};

/* Which of the model's transformers an adapter of this kind is for; NULL: the kind is no adapter. */
static const char *expert_of(FileKind kind)
{
    return kind == KIND_ADAPTER ? "both" : kind == KIND_ADAPTER_HIGH ? "high" : kind == KIND_ADAPTER_LOW ? "low" : NULL;
}

/* ---- the file's keys ---- */

static void add_slot(CampaignMedia *m, int at, const char *key, const char *text, int line)
{
    Place place = campaign_place(m->l, key);
    if (line) place.line = line;
    if (!text) return;
    if (!text[strspn(text, " \t\n")]) {
        faults_add(m->l->faults, place, "empty; expected a file, or leave the key out");
        return;
    }
    m->any = true;
    m->slot[at] = (Slot){.key = key,
                         .text = template_new(text, &m->l->campaign->customers, place, m->l->faults),
                         .line = place.line,
                         .kind = at == VIDEO || at == MASK ? KIND_VIDEO
                                 : at >= LORAS             ? KIND_ADAPTER
                                                           : KIND_PICTURE};
}

static void read_scales(CampaignMedia *m)
{
    const YamlWords *w = &m->l->file.control_scale;
    const ModelConfig *c = m->l->campaign->model;
    bool other_than_1 = false;
    for (int i = 0; i < w->count; i++) {
        Place place = campaign_place(m->l, "control.scale");
        if (w->line[i]) place.line = w->line[i];
        char *end = w->word[i];
        double x = strspn(end, "0123456789.+-eE") == strlen(end) ? strtod(end, &end) : -1;
        if (*end || !*w->word[i] || !(x >= 0 && x <= 100))
            faults_add(m->l->faults, place, "%s, expected a number from 0 to 100", quoted(w->word[i]).text);
        other_than_1 = other_than_1 || x != 1;
        m->scale[i] = x;
    }
    if (c && c->dit.vace_count && w->count > 1 && w->count != c->dit.vace_count)
        faults_add(m->l->faults, campaign_place(m->l, "control.scale"),
                   "%d numbers, expected 1 or %d: one for each control layer", w->count, c->dit.vace_count);
    if (!other_than_1) return; /* as without the key */
    m->scale_count = w->count;
    m->any = m->any || w->count;
}

/* A key that the model does not take, and one that it needs. */
static void check_kind(CampaignMedia *m)
{
    const ModelConfig *c = m->l->campaign->model;
    const CampaignFile *f = &m->l->file;
    if (!c) return;
    const ModelMedia takes = model_config_media(c);
    m->speaks = takes.sound;
    const struct {
        const char *key;
        bool given, taken, needed;
    } row[] = {{"image", f->image, takes.image, takes.needs_image && !campaign_cameo_gives_image(m->l)},
               {"last_image", f->last_image, takes.last_image, takes.needs_last_image},
               {"references", f->references.count, takes.control, false},
               {"control.video", f->control_video, takes.control, takes.control && f->control_mask},
               {"control.mask", f->control_mask, takes.control, false},
               {"control.scale", m->scale_count > 0, takes.control, false}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        Place place = campaign_place(m->l, row[i].key);
        if (row[i].given && !row[i].taken)
            faults_add(m->l->faults, place, "%s takes none (%s); leave the key out, or give another model", f->model,
                       c->pipeline);
        if (row[i].given || !row[i].needed) continue;
        place.line = campaign_file_line(f, i < 2 ? "model" : "control.mask");
        if (i < 2)
            faults_add(m->l->faults, place, "missing; %s needs it (%s): a file, or a template like \"{{photo}}\"",
                       f->model, c->pipeline);
        else
            faults_add(m->l->faults, place, "missing; a mask says which part of a control video is made anew");
    }
    m->slot[IMAGE].needed = takes.needs_image && !campaign_cameo_gives_image(m->l);
    m->slot[LAST_IMAGE].needed = takes.needs_last_image;
}

static void add_loras(CampaignMedia *m)
{
    const YamlTables *list = &m->l->file.loras;
    const ModelConfig *c = m->l->campaign->model;
    if (list->count > SHOT_MAX_LORAS)
        faults_add(m->l->faults, campaign_place(m->l, "loras"), "%d adapters, expected at most %d", list->count,
                   SHOT_MAX_LORAS);
    for (int i = 0; i < list->count && i < SHOT_MAX_LORAS; i++) {
        const CampaignLora *lora = (const CampaignLora *)list->item + i;
        add_slot(m, LORAS + i, "loras", lora->file, lora->line);
        if (c && c->two_transformers && strcmp(lora->expert, "both") != 0)
            m->slot[LORAS + i].kind = strcmp(lora->expert, "low") == 0 ? KIND_ADAPTER_LOW : KIND_ADAPTER_HIGH;
        if (c && !c->two_transformers && strcmp(lora->expert, "both") != 0)
            faults_add(m->l->faults, (Place){m->l->campaign->file, lora->line, "loras.expert"},
                       "%s, but %s has one transformer; leave it out", lora->expert, m->l->file.model);
    }
}

CampaignMedia *campaign_media_new(CampaignLoad *l)
{
    CampaignMedia *m = memory_get(1, sizeof *m);
    const CampaignFile *f = &l->file;
    m->l = l;
    add_slot(m, IMAGE, "image", f->image, 0);
    add_slot(m, LAST_IMAGE, "last_image", f->last_image, 0);
    add_slot(m, VIDEO, "control.video", f->control_video, 0);
    add_slot(m, MASK, "control.mask", f->control_mask, 0);
    for (int i = 0; i < f->references.count; i++)
        add_slot(m, REFERENCES + i, "references", f->references.word[i], f->references.line[i]);
    add_loras(m);
    read_scales(m);
    check_kind(m);
    return m;
}

void campaign_media_free(CampaignMedia **media)
{
    CampaignMedia *m = *media;
    if (!m) return;
    Known *k, *next;
    Content *c, *more;
    HASH_ITER(hh, m->known, k, next)
    {
        HASH_DEL(m->known, k);
        free(k->key);
        free(k->fault);
        free(k->file.path);
        free(k);
    }
    HASH_ITER(hh, m->content, c, more)
    {
        HASH_DEL(m->content, c);
        free(c);
    }
    for (int i = 0; i < SLOTS; i++) template_free(&m->slot[i].text);
    free(m->speech);
    free(m->text);
    free(m);
    *media = NULL;
}

/* ---- files ---- */

static Status hash_once(CampaignMedia *m, const char *path, Known *k)
{
    struct stat s;
    if (stat(path, &s) != 0) return status_errno(ERR_INPUT, "cannot be read");
    if (!S_ISREG(s.st_mode)) return shot_file_hash(path, k->file.sha256);
    Content *c, *fresh = memory_get(1, sizeof *fresh); /* zeroed: its padding is part of the key */
    fresh->identity.device = s.st_dev;
    fresh->identity.inode = s.st_ino;
    fresh->identity.bytes = s.st_size;
    fresh->identity.changed = s.st_mtim;
    HASH_FIND(hh, m->content, &fresh->identity, sizeof fresh->identity, c);
    if (c) {
        memcpy(k->file.sha256, c->sha256, HASH_TEXT);
        free(fresh);
        return status_ok();
    }
    Status status = shot_file_hash(path, k->file.sha256);
    memcpy(fresh->sha256, k->file.sha256, HASH_TEXT);
    HASH_ADD(hh, m->content, identity, sizeof fresh->identity, fresh);
    return status;
}

static Status look_at(CampaignMedia *m, const char *path, FileKind kind, Known *k)
{
    Probe probe = {0};
    if (strlen(path) >= PATH_MAX) return status_fail(ERR_INPUT, "too long for a file name");
    TRY(kind == KIND_SOUND   ? file_check_regular(path)
        : kind == KIND_VIDEO ? probe_video(path, &probe)
        : expert_of(kind)    ? probe_adapter(path, &probe)
                             : probe_picture(path, &probe));
    if (expert_of(kind)) {
        TRY(distilled_of_adapter(path, &k->distilled));
        TRY(campaign_model_adapter(m->l, path, expert_of(kind)));
    }
    k->frames = probe.frames;
    k->file.path = realpath(path, NULL);
    if (!k->file.path) return status_errno(ERR_INPUT, "cannot be read");
    if (customers_bad_byte(k->file.path, strlen(k->file.path)) >= 0)
        return status_fail(ERR_INPUT, "a folder above it has a name that is no UTF-8; rename it");
    return hash_once(m, path, k);
}

/* The file that a row's text names. The same file as a picture and as a video has two entries. */
static const Known *find_file(CampaignMedia *m, const char *text, FileKind kind)
{
    char *path = path_join(m->l->campaign->folder, text), *key = text_format("%c%s", (int)kind, path);
    Known *k;
    HASH_FIND_STR(m->known, key, k);
    if (k) {
        free(key);
    } else {
        k = memory_get(1, sizeof *k);
        k->key = key;
        Status status = look_at(m, path, kind, k);
        if (failed(status)) k->fault = text_copy(status.message);
        HASH_ADD_KEYPTR(hh, m->known, k->key, strlen(k->key), k);
    }
    free(path);
    return k;
}

/* ---- rows ---- */

static Place slot_place(const CampaignMedia *m, const Slot *s, int64_t row)
{
    const Customers *c = &m->l->campaign->customers;
    int column = template_first_column(s->text);
    if (column < 0) return (Place){m->l->campaign->file, s->line, s->key};
    return (Place){m->l->campaign->customers_file, c->line[row], c->column[column]};
}

/* The file of this slot; NULL: none, or a fault that was told. */
static const Known *check_slot(CampaignMedia *m, const Slot *s, int64_t row)
{
    const Customers *c = &m->l->campaign->customers;
    Place place = slot_place(m, s, row);
    int missing = template_missing(s->text, c, row);
    if (missing >= 0) {
        faults_add(
            m->l->faults, place,
            "empty, and %s in %s:%d has no fallback; expected a file, or {{%.60s|}} there for rows that have none",
            s->key, path_name(m->l->campaign->file), s->line, c->column[missing]);
        return NULL;
    }
    template_expand(s->text, c, row, &m->text, &m->room);
    if (text_is_blank(m->text)) {
        if (s->needed) faults_add(m->l->faults, place, "no %s; %s needs one", s->key, m->l->file.model);
        return NULL;
    }
    const Known *k = find_file(m, m->text, s->kind);
    if (!k->fault) return k;
    faults_add(m->l->faults, place, "%s %s: %s", s->key, quoted(m->text).text, k->fault);
    return NULL;
}

/* The first of them: there may be one for each row. */
static void warn_of_cut(CampaignMedia *m, int64_t row, const Known *video)
{
    const Customers *c = &m->l->campaign->customers;
    if (!video || video->frames <= m->l->base.frames || m->cut_told) return;
    const bool all = template_is_constant(m->slot[VIDEO].text);
    faults_warn(m->l->faults, slot_place(m, &m->slot[VIDEO], row),
                all || c->id_column < 0 ? "" : customers_value(c, row, c->id_column),
                "the control video has %lld frames and the clip %d: the rest is cut%s", (long long)video->frames,
                m->l->base.frames, all ? "" : ", in this row and perhaps in others");
    m->cut_told = true;
}

/* The first of them: weights that are run otherwise than they were made for. Where only the name says that they are distilled, what
 * cannot be right is told: many steps, or guidance. */
static void warn_of_distilled(CampaignMedia *m, int64_t row, const Slot *s, const Known *adapter)
{
    const Customers *c = &m->l->campaign->customers;
    char advice[DISTILLED_ADVICE];
    if (!adapter || m->distilled_told) return;
    ShotSpec shot = m->l->base;
    distilled_apply(&adapter->distilled, &shot);
    campaign_settings(m->l, &shot);
    const bool named = !adapter->distilled.steps && distilled_by_name(adapter->file.path) &&
                       (shot.steps > 2 * distilled_usual.steps || shot.guidance > 1);
    if (!distilled_advice(named ? &distilled_usual : &adapter->distilled, &shot, advice)) return;
    faults_warn(m->l->faults, slot_place(m, s, row),
                template_is_constant(s->text) || c->id_column < 0 ? "" : customers_value(c, row, c->id_column),
                "%s %s%s", path_name(adapter->file.path),
                named ? "is step-distilled by its name; such weights are usually " : "was ", advice);
    m->distilled_told = true;
}

static void check_control(CampaignMedia *m, int64_t row, const Known *video, const Known *mask)
{
    warn_of_cut(m, row, video);
    if (!mask || !m->slot[VIDEO].text) return;
    Place place = slot_place(m, &m->slot[MASK], row);
    int64_t wanted = video ? video->frames : 0, frames = m->l->base.frames;
    if (!video && template_missing(m->slot[VIDEO].text, &m->l->campaign->customers, row) < 0) {
        template_expand(m->slot[VIDEO].text, &m->l->campaign->customers, row, &m->text, &m->room);
        if (text_is_blank(m->text)) faults_add(m->l->faults, place, "a mask without a control video");
    }
    if (wanted > frames) wanted = frames;
    if (wanted && mask->frames && mask->frames < wanted)
        faults_add(m->l->faults, place, "the mask has %lld frame%s, expected %lld as the control video has",
                   (long long)mask->frames, plural_s(mask->frames), (long long)wanted);
}

void campaign_media_check(CampaignMedia *m, int64_t row)
{
    const Known *file[SLOTS] = {NULL};
    for (int i = 0; m->any && i < SLOTS; i++) {
        const Slot *s = &m->slot[i];
        if (s->text && (row == 0 || !template_is_constant(s->text))) file[i] = check_slot(m, s, row);
    }
    for (int i = LORAS; i < SLOTS; i++) warn_of_distilled(m, row, &m->slot[i], file[i]);
    check_control(m, row, file[VIDEO], file[MASK]);
}

/* NULL: this row has none. */
static const Known *known_of(CampaignMedia *m, const Slot *s, int64_t row)
{
    if (!s->text) return NULL;
    template_expand(s->text, &m->l->campaign->customers, row, &m->text, &m->room);
    if (text_is_blank(m->text)) return NULL;
    return find_file(m, m->text, s->kind);
}

static ShotFile file_of(CampaignMedia *m, const Slot *s, int64_t row)
{
    const Known *k = known_of(m, s, row);
    return k ? k->file : (ShotFile){0};
}

const char *campaign_media_recording(CampaignMedia *m, const char *path, const char **sha256)
{
    const Known *k = find_file(m, path, KIND_SOUND);
    *sha256 = k->file.sha256;
    return k->fault;
}

const ShotMedia *campaign_media_of(CampaignMedia *m, int64_t row)
{
    if (!m->any && !m->l->cameo && !m->speaks) return NULL;
    free(m->speech);
    m->speech = m->speaks ? finish_keys_speech(m->l->finish, row, campaign_cameo_voice(m->l->cameo)) : NULL;
    m->row = (ShotMedia){.image = file_of(m, &m->slot[IMAGE], row),
                         .last_image = file_of(m, &m->slot[LAST_IMAGE], row),
                         .control_video = file_of(m, &m->slot[VIDEO], row),
                         .control_mask = file_of(m, &m->slot[MASK], row),
                         .speech = m->speech,
                         .scale_count = m->scale_count,
                         .scale = m->scale,
                         .reference = m->reference,
                         .lora = m->lora};
    for (int i = REFERENCES; i < LORAS; i++) {
        ShotFile f = file_of(m, &m->slot[i], row);
        if (f.path) m->reference[m->row.reference_count++] = f;
    }
    campaign_cameo_add(m->l->cameo, &m->row, m->reference);
    for (int i = LORAS; i < SLOTS; i++) {
        ShotFile f = file_of(m, &m->slot[i], row);
        if (!f.path) continue;
        const CampaignLora *from = (const CampaignLora *)m->l->file.loras.item + (i - LORAS);
        ShotLora *to = &m->lora[m->row.lora_count++];
        *to = (ShotLora){.file = f, .scale = from->scale};
        snprintf(to->expert, sizeof to->expert, "%s", from->expert);
    }
    bool any = m->speech || m->row.lora_count || m->row.image.path || m->row.last_image.path ||
               m->row.control_video.path || m->row.reference_count || m->row.scale_count;
    return any ? &m->row : NULL;
}

const Distilled *campaign_media_distilled(CampaignMedia *m, int64_t row)
{
    for (int i = LORAS; i < SLOTS; i++) {
        const Slot *s = &m->slot[i];
        if (!s->text) continue;
        const Known *k = known_of(m, s, row);
        if (k && k->distilled.steps) return &k->distilled;
    }
    return NULL;
}

int64_t campaign_media_count(const CampaignMedia *m)
{
    int64_t count = 0;
    Known *k, *next;
    HASH_ITER(hh, m->known, k, next) count += k->key[0] != KIND_SOUND;
    return count;
}

int campaign_media_slots(void) { return SLOTS; }

const Template *campaign_media_template(const CampaignMedia *m, int slot) { return m ? m->slot[slot].text : NULL; }

/* The same adapter for the other transformer: one file is told of once. */
static bool is_known_before(const CampaignMedia *m, const Known *k)
{
    static const char kind[] = {KIND_ADAPTER, KIND_ADAPTER_HIGH, KIND_ADAPTER_LOW};
    for (size_t i = 0; i < sizeof kind && kind[i] != k->key[0]; i++) {
        char *key = text_format("%c%s", kind[i], k->key + 1);
        const Known *other;
        HASH_FIND_STR(m->known, key, other);
        free(key);
        if (other) return true;
    }
    return false;
}

const char *campaign_media_key(const CampaignMedia *m, int slot) { return m ? m->slot[slot].key : NULL; }

void campaign_media_adapters(CampaignMedia *m, void (*see)(void *self, const char *file), void *self)
{
    Known *k, *next;
    HASH_ITER(hh, m->known, k, next)
    if (expert_of((FileKind)k->key[0]) && !k->fault && !is_known_before(m, k)) see(self, k->file.path);
}
