/* shot_key.c - what of a shot determines its latents, as one hash. */
#include <inttypes.h>
#include <stdlib.h>

#include <jansson.h>

#include "common/shot.h"

static void add_file(Hash *h, const char *name, const ShotFile *f)
{
    if (f->path) hash_add_field(h, name, "%s", f->sha256);
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
    if (s->frames_most)
        hash_add_field(h, "frames", "voice"); /* which is in the key; a voice that is longer than the most is refused */
    else
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
