#include "shot.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/chain.h"
#include "common/file.h"

/* ---- memory ---- */

static ShotFile copy_file(const ShotFile *f)
{
    ShotFile copy = *f;
    if (f->path) copy.path = text_copy(f->path);
    return copy;
}

ShotMedia *shot_media_copy(const ShotMedia *m)
{
    if (!m) return NULL;
    ShotMedia *copy = memory_get(1, sizeof *copy);
    *copy = *m;
    copy->image = copy_file(&m->image);
    copy->last_image = copy_file(&m->last_image);
    copy->control_video = copy_file(&m->control_video);
    copy->control_mask = copy_file(&m->control_mask);
    copy->audio = copy_file(&m->audio);
    if (m->speech) copy->speech = text_copy(m->speech);
    copy->scale = memory_get((size_t)m->scale_count, sizeof *copy->scale);
    for (int i = 0; i < m->scale_count; i++) copy->scale[i] = m->scale[i];
    copy->reference = memory_get((size_t)m->reference_count, sizeof *copy->reference);
    copy->lora = memory_get((size_t)m->lora_count, sizeof *copy->lora);
    for (int i = 0; i < m->reference_count; i++) copy->reference[i] = copy_file(&m->reference[i]);
    for (int i = 0; i < m->lora_count; i++) {
        copy->lora[i] = m->lora[i];
        copy->lora[i].file = copy_file(&m->lora[i].file);
    }
    return copy;
}

void shot_media_free(ShotMedia **media)
{
    ShotMedia *m = *media;
    if (!m) return;
    free(m->image.path);
    free(m->last_image.path);
    free(m->control_video.path);
    free(m->control_mask.path);
    free(m->audio.path);
    free(m->speech);
    for (int i = 0; i < m->reference_count; i++) free(m->reference[i].path);
    for (int i = 0; i < m->lora_count; i++) free(m->lora[i].file.path);
    free(m->scale);
    free(m->reference);
    free(m->lora);
    free(m);
    *media = NULL;
}

void shot_clear(ShotSpec *s)
{
    free(s->prompt);
    free(s->negative);
    free(s->trunk_prompt);
    free(s->reused_steps);
    shot_media_free(&s->media);
    memset(s, 0, sizeof *s);
}

void shot_copy(ShotSpec *to, const ShotSpec *from)
{
    *to = *from;
    to->prompt = text_copy(from->prompt);
    to->negative = text_copy(from->negative);
    to->media = shot_media_copy(from->media);
    if (from->trunk_prompt) to->trunk_prompt = text_copy(from->trunk_prompt);
    if (from->reused_steps) to->reused_steps = text_copy(from->reused_steps);
}

void shot_set_sigmas(ShotSpec *s, const char *word)
{
    snprintf(s->sigmas, sizeof s->sigmas, "%s", strcmp(word, "standard") == 0 ? "" : word);
}

/* ---- the key ---- */

static void add_file(Hash *h, const char *name, const ShotFile *f)
{
    if (f->path) hash_add_field(h, name, "%s", f->sha256);
}

int shot_rounds(const ShotSpec *s)
{
    return s->media && (s->media->speech || s->media->audio.path) ? chain_clips(s->frames) : 1;
}

ShotSpec shot_trunk(const ShotSpec *s)
{
    ShotSpec trunk = *s;
    trunk.prompt = s->trunk_prompt;
    trunk.trunk_prompt = NULL;
    trunk.trunk_steps = 0;
    return trunk;
}

char *shot_adapters(const ShotSpec *s)
{
    char *text = text_copy("");
    for (int i = 0; s->media && i < s->media->lora_count; i++) {
        const ShotLora *l = &s->media->lora[i];
        char *longer = text_format("%s%s%s %g %s", text, i ? "; " : "", l->file.sha256, l->scale, l->expert);
        free(text);
        text = longer;
    }
    return text;
}

Status shot_read_reused(const ShotSpec *s, bool *reused)
{
    long last = 0;
    memset(reused, 0, (size_t)s->steps * sizeof *reused);
    for (const char *at = s->reused_steps; at;) {
        char *end;
        const long step = *at >= '0' && *at <= '9' ? strtol(at, &end, 10) : 0;
        if (step <= last || step >= s->steps || (*end && *end != ','))
            return status_fail(ERR_INPUT,
                               "reused-steps = \"%.200s\", expected steps from 1 to %d that rise, such as 5,7,8",
                               s->reused_steps, s->steps - 1);
        reused[last = step] = true;
        at = *end ? end + 1 : NULL;
    }
    return status_ok();
}

bool shot_is_guided_at(const ShotSpec *s, double sigma)
{
    return s->guided_from <= 0 || (sigma <= s->guided_from && sigma >= s->guided_to);
}

/* A recording and a person's voice count by content; how often an engine is asked, and what becomes of a sound that is too long, do not
 * change the sound. */
static void add_speech(Hash *h, const char *speech)
{
    static const char *const other[] = {"file", "voice_ref", "time_limit", "retries", "too_long"};
    json_t *o = json_loads(speech, 0, NULL);
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) json_object_del(o, other[i]);
    char *text = o ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (text) hash_add_field(h, "speech", "%s", text);
    free(text);
    json_decref(o);
}

/* Only what is there adds to the hash: a shot without media keeps the key that it had before there were any. */
static void add_media(Hash *h, const ShotMedia *m)
{
    add_file(h, "image", &m->image);
    add_file(h, "last_image", &m->last_image);
    for (int i = 0; i < m->reference_count; i++) add_file(h, "reference", &m->reference[i]);
    add_file(h, "control.video", &m->control_video);
    add_file(h, "control.mask", &m->control_mask);
    add_file(h, "audio", &m->audio);
    if (m->speech) add_speech(h, m->speech);
    for (int i = 0; i < m->scale_count; i++) hash_add_field(h, "control.scale", "%.17g", m->scale[i]);
    for (int i = 0; i < m->lora_count; i++) {
        add_file(h, "lora", &m->lora[i].file);
        hash_add_field(h, "lora.scale", "%.17g", m->lora[i].scale);
        hash_add_field(h, "lora.expert", "%s", m->lora[i].expert);
    }
}

void shot_key(const ShotSpec *s, const char *model_hash, char key[HASH_TEXT])
{
    Hash *h = hash_begin();
    hash_add_field(h, "model", "%s", model_hash);
    hash_add_field(h, "prompt", "%s", s->prompt);
    hash_add_field(h, "negative", "%s", s->negative);
    hash_add_field(h, "seed", "%" PRIu64, s->seed);
    hash_add_field(h, "size", "%dx%d", s->width, s->height);
    hash_add_field(h, "frames", "%d", s->frames);
    hash_add_field(h, "steps", "%d", s->steps);
    hash_add_field(h, "guidance", "%.17g", s->guidance);
    hash_add_field(h, "guidance_2", "%.17g", s->guidance_2);
    hash_add_field(h, "flow_shift", "%.17g", s->flow_shift);
    hash_add_field(h, "scheduler", "%s", s->scheduler);
    if (*s->sigmas) hash_add_field(h, "sigmas", "%s", s->sigmas);
    if (s->media) add_media(h, s->media);
    if (s->trunk_steps) {
        hash_add_field(h, "trunk.steps", "%d", s->trunk_steps);
        hash_add_field(h, "trunk.prompt", "%s", s->trunk_prompt);
    }
    if (s->reused_steps) hash_add_field(h, "reused", "%s", s->reused_steps);
    if (s->guided_from > 0) hash_add_field(h, "guided", "%.17g %.17g", s->guided_from, s->guided_to);
    hash_end(h, key);
}

void shot_key_of_row(char key[HASH_TEXT], const char *id)
{
    Hash *h = hash_begin();
    hash_add_field(h, "shot", "%s", key);
    hash_add_field(h, "id", "%s", id);
    hash_end(h, key);
}
