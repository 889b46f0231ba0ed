/* shot_json.c - a shot as the text that ledger and messages carry (shot.h). */
#include "shot.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/file.h"
#include "common/json_fields.h"
#include "common/likeness.h"

/* ---- to JSON ---- */

static void set(json_t *object, const char *key, json_t *value) /* takes the reference */
{
    if (!value || json_object_set_new_nocheck(object, key, value) != 0)
        abort(); /* no memory, or a text that is no UTF-8 */
}

static json_t *file_json(const ShotFile *f)
{
    json_t *o = json_object();
    set(o, "path", json_string(f->path));
    set(o, "sha256", json_string(f->sha256));
    return o;
}

static void set_file(json_t *object, const char *key, const ShotFile *f)
{
    if (f->path) set(object, key, file_json(f));
}

static json_t *lora_json(const ShotLora *l)
{
    json_t *o = file_json(&l->file);
    set(o, "scale", json_real(l->scale));
    set(o, "expert", json_string(l->expert));
    return o;
}

static void set_list(json_t *object, const char *key,
                     json_t *list) /* takes the reference; one without items is left out */
{
    if (json_array_size(list))
        set(object, key, list);
    else
        json_decref(list);
}

static void set_media(json_t *o, const ShotMedia *m)
{
    set_file(o, "image", &m->image);
    set_file(o, "last_image", &m->last_image);
    set_file(o, "control_video", &m->control_video);
    set_file(o, "control_mask", &m->control_mask);
    set_file(o, "audio", &m->audio);
    if (m->speech) set(o, "speech", json_loads(m->speech, 0, NULL));
    json_t *scales = json_array(), *references = json_array(), *loras = json_array();
    for (int i = 0; i < m->scale_count; i++) json_array_append_new(scales, json_real(m->scale[i]));
    for (int i = 0; i < m->reference_count; i++) json_array_append_new(references, file_json(&m->reference[i]));
    for (int i = 0; i < m->lora_count; i++) json_array_append_new(loras, lora_json(&m->lora[i]));
    set_list(o, "control_scale", scales);
    set_list(o, "references", references);
    set_list(o, "loras", loras);
}

char *shot_to_json(const ShotSpec *s)
{
    json_t *o = json_object();
    char seed[24];
    snprintf(seed, sizeof seed, "%" PRIu64, s->seed);
    set(o, "prompt", json_string(s->prompt));
    set(o, "negative", json_string(s->negative));
    set(o, "seed", json_string_nocheck(seed)); /* as text: JSON's integers end at 2^63 */
    set(o, "width", json_integer(s->width));
    set(o, "height", json_integer(s->height));
    set(o, "frames", json_integer(s->frames));
    if (s->frames_most) set(o, "frames_most", json_integer(s->frames_most));
    set(o, "fps", json_integer(s->fps));
    set(o, "steps", json_integer(s->steps));
    set(o, "guidance", json_real(s->guidance));
    set(o, "guidance_2", json_real(s->guidance_2));
    set(o, "flow_shift", json_real(s->flow_shift));
    set(o, "scheduler", json_string(s->scheduler));
    if (*s->sigmas) set(o, "sigmas", json_string(s->sigmas));
    if (s->media) set_media(o, s->media);
    if (shot_rounds(s) > 1)
        set(o, "rounds", json_integer(shot_rounds(s))); /* for the ledger's SQL; follows from the rest */
    if (s->trunk_steps) {
        set(o, "trunk_steps", json_integer(s->trunk_steps));
        set(o, "trunk_prompt", json_string(s->trunk_prompt));
    }
    if (s->reused_steps) set(o, "reused_steps", json_string(s->reused_steps));
    if (s->guided_from > 0) {
        set(o, "guided_from", json_real(s->guided_from));
        set(o, "guided_to", json_real(s->guided_to));
    }
    char *text = json_dumps(o, JSON_COMPACT);
    if (!text) abort();
    json_decref(o);
    return text;
}

/* ---- from JSON ---- */

static json_t *need(Fields *f, const char *key)
{
    json_t *v = fields_get(f, key);
    if (!v) fields_fault(f, key, " is missing");
    return v;
}

static int need_int(Fields *f, const char *key)
{
    need(f, key);
    return fields_int(f, key, 0, INT_MIN, INT_MAX);
}

static double need_real(Fields *f, const char *key)
{
    need(f, key);
    return fields_real(f, key, 0, -HUGE_VAL, HUGE_VAL);
}

static char *need_text(Fields *f, const char *key)
{
    need(f, key);
    return text_copy(fields_text(f, key, ""));
}

static uint64_t need_seed(Fields *f)
{
    need(f, "seed");
    const char *text = fields_text(f, "seed", "0");
    size_t n = strlen(text);
    if (n < 1 || n > 20 || strspn(text, "0123456789") != n) fields_fault(f, "seed", " is no number");
    return failed(f->status) ? 0 : strtoull(text, NULL, 10);
}

static void read_file(Fields *f, const char *key, const json_t *object, ShotFile *out)
{
    const char *path = json_string_value(json_object_get(object, "path")),
               *sha256 = json_string_value(json_object_get(object, "sha256"));
    if (!path || (*path != '/' && !likeness_is(path)) || !sha256 || strlen(sha256) >= HASH_TEXT) {
        fields_fault(f, key, " is no file, expected an absolute \"path\" and its \"sha256\"");
        return;
    }
    out->path = text_copy(path);
    snprintf(out->sha256, sizeof out->sha256, "%s", sha256);
}

static void read_file_of(Fields *f, const char *key, ShotFile *out)
{
    const json_t *v = fields_get(f, key);
    if (v) read_file(f, key, v, out);
}

static size_t list_length(Fields *f, const char *key, size_t most)
{
    const json_t *v = fields_get(f, key);
    if (v && (!json_is_array(v) || json_array_size(v) > most)) fields_fault(f, key, " is no list of at most %zu", most);
    return failed(f->status) ? 0 : json_array_size(v);
}

static void read_lora(Fields *f, const json_t *object, ShotLora *out)
{
    const char *expert = json_string_value(json_object_get(object, "expert"));
    const json_t *scale = json_object_get(object, "scale");
    read_file(f, "loras", object, &out->file);
    if (!expert || strlen(expert) >= sizeof out->expert || !json_is_number(scale))
        fields_fault(f, "loras", " lack a \"scale\" or an \"expert\"");
    else
        snprintf(out->expert, sizeof out->expert, "%s", expert);
    out->scale = json_number_value(scale);
}

static double read_number(Fields *f, const char *key, size_t i)
{
    const json_t *v = json_array_get(fields_get(f, key), i);
    if (!json_is_number(v)) fields_fault(f, key, "[%zu] is no number", i);
    return json_number_value(v);
}

static char *read_speech(Fields *f)
{
    const json_t *v = fields_get(f, "speech");
    if (v && !json_is_object(v)) fields_fault(f, "speech", " is no object");
    return json_is_object(v) ? json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
}

static ShotMedia *read_media(Fields *f)
{
    ShotMedia m = {0};
    size_t scales = list_length(f, "control_scale", SHOT_MAX_SCALES),
           references = list_length(f, "references", SHOT_MAX_REFERENCES),
           loras = list_length(f, "loras", SHOT_MAX_LORAS);
    read_file_of(f, "image", &m.image);
    read_file_of(f, "last_image", &m.last_image);
    read_file_of(f, "control_video", &m.control_video);
    read_file_of(f, "control_mask", &m.control_mask);
    read_file_of(f, "audio", &m.audio);
    m.speech = read_speech(f);
    m.scale = memory_get(scales, sizeof *m.scale);
    m.reference = memory_get(references, sizeof *m.reference);
    m.lora = memory_get(loras, sizeof *m.lora);
    for (; m.scale_count < (int)scales; m.scale_count++)
        m.scale[m.scale_count] = read_number(f, "control_scale", (size_t)m.scale_count);
    for (; m.reference_count < (int)references; m.reference_count++)
        read_file(f, "references", json_array_get(fields_get(f, "references"), (size_t)m.reference_count),
                  &m.reference[m.reference_count]);
    for (; m.lora_count < (int)loras; m.lora_count++)
        read_lora(f, json_array_get(fields_get(f, "loras"), (size_t)m.lora_count), &m.lora[m.lora_count]);
    ShotMedia *out = memory_get(1, sizeof *out);
    *out = m;
    if (!m.image.path && !m.last_image.path && !m.control_video.path && !m.control_mask.path && !m.audio.path &&
        !m.speech && !scales && !references && !loras)
        shot_media_free(&out);
    return out;
}

static void read_word(Fields *f, const char *key, char *out, size_t room)
{
    const char *word = fields_text(f, key, "");
    if (strlen(word) >= room) fields_fault(f, key, " is too long");
    snprintf(out, room, "%s", word);
}

Status shot_from_json(const char *text, ShotSpec *out)
{
    Fields f = {
        .path = text_copy("shot"), .status = status_ok(), .root = json_loads(text, JSON_REJECT_DUPLICATES, NULL)};
    if (!json_is_object(f.root)) f.status = status_fail(ERR_INPUT, "shot: expected a JSON object");
    *out = (ShotSpec){.prompt = need_text(&f, "prompt"),
                      .negative = need_text(&f, "negative"),
                      .seed = need_seed(&f),
                      .width = need_int(&f, "width"),
                      .height = need_int(&f, "height"),
                      .frames = need_int(&f, "frames"),
                      .frames_most = fields_int(&f, "frames_most", 0, 0, INT_MAX),
                      .fps = need_int(&f, "fps"),
                      .steps = need_int(&f, "steps"),
                      .guidance = need_real(&f, "guidance"),
                      .guidance_2 = need_real(&f, "guidance_2"),
                      .flow_shift = need_real(&f, "flow_shift")};
    need(&f, "scheduler");
    read_word(&f, "scheduler", out->scheduler, sizeof out->scheduler);
    read_word(&f, "sigmas", out->sigmas, sizeof out->sigmas);
    out->media = read_media(&f);
    out->trunk_steps = fields_int(&f, "trunk_steps", 0, 0, INT_MAX);
    if (out->trunk_steps) out->trunk_prompt = need_text(&f, "trunk_prompt");
    if (fields_get(&f, "reused_steps")) out->reused_steps = need_text(&f, "reused_steps");
    out->guided_from = fields_real(&f, "guided_from", 0, 0, 1);
    out->guided_to = fields_real(&f, "guided_to", 0, 0, 1);
    Status status = fields_close(&f);
    if (failed(status)) shot_clear(out);
    return status;
}
