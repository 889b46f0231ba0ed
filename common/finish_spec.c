#include "finish_spec.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The fields of a rendition, as a document names them. What is empty or 0 is left out of it. */
typedef enum { TEXT, WHOLE, REAL } Kind;
#define FIELD(kind, member)                                                                                            \
    {                                                                                                                  \
#member, kind, offsetof(Rendition, member), sizeof(((Rendition *)0)->member)                                   \
    }
static const struct {
    const char *name;
    Kind kind;
    size_t at, bytes;
} fields[] = {FIELD(TEXT, name),         FIELD(WHOLE, width),    FIELD(WHOLE, height),    FIELD(WHOLE, crf),
              FIELD(TEXT, preset),       FIELD(WHOLE, max_kbps), FIELD(TEXT, kind),       FIELD(TEXT, codec),
              FIELD(TEXT, fit),          FIELD(TEXT, color),     FIELD(WHOLE, fps),       FIELD(WHOLE, min_fps),
              FIELD(WHOLE, max_fps),     FIELD(TEXT, convert),   FIELD(TEXT, sound),      FIELD(REAL, lufs),
              FIELD(REAL, true_peak_db), FIELD(REAL, safe_top),  FIELD(REAL, safe_right), FIELD(REAL, safe_bottom),
              FIELD(REAL, safe_left),    FIELD(REAL, min_s),     FIELD(REAL, max_s),      FIELD(REAL, max_mb)};
enum { FIELD_COUNT = (int)(sizeof fields / sizeof *fields), REQUIRED = 6 };

static json_t *field_json(const Rendition *r, int i)
{
    const char *at = (const char *)r + fields[i].at;
    if (fields[i].kind == TEXT) return *at || i < REQUIRED ? json_string(at) : NULL;
    double number = fields[i].kind == WHOLE ? *(const int *)(const void *)at : *(const double *)(const void *)at;
    if (number == 0 && i >= REQUIRED) return NULL;
    return fields[i].kind == WHOLE ? json_integer((json_int_t)number) : json_real(number);
}

json_t *finish_spec_renditions(const Rendition *r, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        json_t *one = json_object();
        for (int k = 0; k < FIELD_COUNT; k++) {
            json_t *value = field_json(&r[i], k);
            if (value) json_object_set_new(one, fields[k].name, value);
        }
        json_array_append_new(list, one);
    }
    return list;
}

enum { GIF_FPS = 8 };

int finish_spec_fps(const Rendition *r, int shot_fps)
{
    if (strcmp(r->kind, "gif") == 0) return shot_fps < GIF_FPS ? shot_fps : r->fps ? r->fps : GIF_FPS;
    if (r->max_fps && shot_fps >= r->min_fps && shot_fps <= r->max_fps) return shot_fps;
    return r->fps ? r->fps : shot_fps;
}

const char *finish_spec_ending(const Rendition *r)
{
    return strcmp(r->kind, "poster") == 0 ? "jpg" : strcmp(r->kind, "gif") == 0 ? "gif" : "mp4";
}

char *finish_spec_text(json_t *keys)
{
    char *text = json_dumps(keys, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(keys);
    if (!text) abort();
    return text;
}

static bool read_field(const json_t *value, int i, Rendition *r)
{
    char *at = (char *)r + fields[i].at;
    if (!value) return i >= REQUIRED;
    if (fields[i].kind == TEXT) {
        const char *text = json_string_value(value);
        if (!text || strlen(text) >= fields[i].bytes) return false;
        memcpy(at, text, strlen(text) + 1);
        return true;
    }
    if (fields[i].kind == REAL)
        return json_is_number(value) && (*(double *)(void *)at = json_number_value(value), true);
    json_int_t number = json_integer_value(value);
    *(int *)(void *)at = (int)number;
    return json_is_integer(value) && number >= INT32_MIN && number <= INT32_MAX;
}

static bool read_rendition(const json_t *item, Rendition *r)
{
    *r = (Rendition){0};
    for (int i = 0; i < FIELD_COUNT; i++)
        if (!read_field(json_object_get(item, fields[i].name), i, r)) return false;
    return *r->name && !strchr(r->name, '/');
}

static Status read_renditions(FinishSpec *s)
{
    json_t *list = json_object_get(s->keys, "renditions"), *item;
    const size_t count = json_array_size(list);
    size_t i;
    bool good = count >= 1 && count <= MAX_RENDITIONS;
    json_array_foreach(list, i, item) good = good && read_rendition(item, &s->rendition[i]);
    if (!good) return status_fail(ERR_FATAL, "what a clip is finished with: damaged \"renditions\"");
    s->rendition_count = (int)count;
    return status_ok();
}

static json_t *read_object(const char *text)
{
    json_t *object = *text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : json_object();
    if (json_is_object(object)) return object;
    json_decref(object);
    return NULL;
}

Status finish_spec_read(const char *campaign, const char *clip, FinishSpec *out)
{
    *out = (FinishSpec){.keys = read_object(campaign)};
    json_t *own = read_object(clip);
    const bool good = out->keys && own && json_object_update(out->keys, own) == 0;
    json_decref(own);
    if (!good) return status_fail(ERR_FATAL, "what a clip is finished with: no JSON object");
    return read_renditions(out);
}

void finish_spec_clear(FinishSpec *s)
{
    json_decref(s->keys);
    *s = (FinishSpec){0};
}

const json_t *finish_spec_get(const FinishSpec *s, const char *key) { return json_object_get(s->keys, key); }

void finish_spec_hash(const char *campaign, const char *clip, char hash[HASH_TEXT])
{
    Hash *h = hash_begin();
    hash_add_field(h, "campaign", "%s", campaign);
    hash_add_field(h, "clip", "%s", clip);
    hash_end(h, hash);
}
