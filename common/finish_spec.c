#include "finish_spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *finish_spec_renditions(const Rendition *r, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:s,s:i,s:i,s:i,s:s,s:i}", "name", r[i].name, "width", r[i].width,
                                              "height", r[i].height, "crf", r[i].crf, "preset", r[i].preset, "max_kbps",
                                              r[i].max_kbps));
    return list;
}

char *finish_spec_text(json_t *keys)
{
    char *text = json_dumps(keys, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(keys);
    if (!text) abort();
    return text;
}

static bool read_rendition(json_t *item, Rendition *r)
{
    const char *name, *preset;
    if (json_unpack(item, "{s:s,s:i,s:i,s:i,s:s,s:i}", "name", &name, "width", &r->width, "height", &r->height, "crf",
                    &r->crf, "preset", &preset, "max_kbps", &r->max_kbps) != 0)
        return false;
    if (!*name || strlen(name) >= sizeof r->name || strlen(preset) >= sizeof r->preset || strchr(name, '/'))
        return false;
    snprintf(r->name, sizeof r->name, "%s", name);
    snprintf(r->preset, sizeof r->preset, "%s", preset);
    return true;
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
