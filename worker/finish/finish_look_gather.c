/* finish_look_gather.c - what each clip's document shows and says, gathered: what is equal, or differs in digits alone, is looked at once. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/json_member.h"
#include "worker/finish/finish_look_parts.h"
#include "worker/finish/overlay.h"
#include "worker/finish/sound.h"

void finish_look_key_document(Hash *h, const char *name, const json_t *o)
{
    char *text = o ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) : NULL;
    if (text) hash_add_field(h, name, "%s", text);
    free(text);
}

void finish_look_key_file(Hash *h, const char *file)
{
    struct stat st;
    if (*file && stat(file, &st) == 0)
        hash_add_field(h, "stamp", "%lld %lld.%09ld", (long long)st.st_size, (long long)st.st_mtim.tv_sec,
                       st.st_mtim.tv_nsec);
}

/* A new build may judge otherwise. */
Hash *finish_look_key(const Look *l, const char *kind)
{
    Hash *h = hash_begin();
    hash_add_field(h, "kind", "%s", kind);
    hash_add_field(h, "shot", "%.9g", l->job->shot_s);
    finish_look_key_file(h, "/proc/self/exe");
    return h;
}

Unit *finish_look_unit(Look *l, Hash *key, int64_t clip, int weight, bool is_voice)
{
    char text[HASH_TEXT];
    Unit *u;
    hash_end(key, text);
    HASH_FIND_STR(l->by_key, text, u);
    if (u) return u;
    u = memory_get(1, sizeof *u);
    *u = (Unit){.clip = clip, .weight = weight, .is_voice = is_voice};
    memcpy(u->key, text, sizeof u->key);
    HASH_ADD_STR(l->by_key, key, u);
    return u;
}

/* Letters of Asian scripts count double. */
static int width_of(const char *text)
{
    int all = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if ((*p & 0xC0) != 0x80) all += *p >= 0xE1 ? 2 : 1;
    return all;
}

/* NULL: there is nothing to lay out. any_digits: the unit stands for all texts that differ from these in digits alone. */
static Unit *add_layout(Look *l, int64_t clip, const FinishSpec *spec, json_t *overlays, bool any_digits)
{
    const json_t *label = finish_spec_get(spec, "label");
    size_t i;
    json_t *o;
    int weight = 0;
    if (json_array_size(overlays) == 0 && !label) return NULL;
    json_t *texts = any_digits ? finish_look_with_digit(overlays, '0') : json_incref(overlays),
           *words = any_digits ? finish_look_with_digit(label, '0') : json_incref((json_t *)(uintptr_t)label);
    Hash *key = finish_look_key(l, any_digits ? "layout of any digits" : "layout");
    finish_look_key_document(key, "renditions", finish_spec_get(spec, "renditions"));
    finish_look_key_document(key, "label", words);
    finish_look_key_document(key, "overlays", texts);
    json_decref(texts);
    json_decref(words);
    json_array_foreach(overlays, i, o)
    {
        const int width = width_of(member_filled(o, "text", member_text(o, "qr", "")));
        if (width > weight) weight = width;
        finish_look_key_file(key, member_text(o, "image", ""));
    }
    Unit *u = finish_look_unit(l, key, clip, weight, false);
    u->any_digits = any_digits;
    return u;
}

static void look_at_music(Look *l, int64_t clip, const json_t *spec)
{
    static char *last; /* most campaigns have one bed */
    const char *file = member_text(spec, "file", "");
    const Sound *sound;
    if (!*file || (last && strcmp(last, file) == 0)) return;
    free(last);
    last = text_copy(file);
    Status status = sound_read_kept(file, &sound);
    if (failed(status)) return finish_look_fault(l, clip, "music", status.message);
    if (sound_is_silent(sound))
        finish_look_fault(l, clip, "music", "nothing is to be heard in it (all is below -60 dBFS)");
    if (sound->open_end) finish_look_note(l, clip, "music.file", finish_look_open_end, 0);
}

void finish_look_count(void *self, const char *field, const char *message)
{
    Counted *c = self;
    c->count++;
    if (!c->quiet) finish_look_fault(c->look, c->clip, field, message);
}

double finish_look_least_of(const FinishSpec *spec, double shot_s)
{
    double least = shot_s;
    for (int i = 0; i < spec->rendition_count; i++) least = fmax(least, spec->rendition[i].min_s);
    return least;
}

/* What is quick is done at once; the rest is gathered. shape: of texts that stand for all that differ in digits alone, taken; NULL: these stand
 * for themselves. */
static Status gather_one(Look *l, int64_t clip, char *shape)
{
    FinishSpec spec;
    Status status = finish_spec_read(l->job->campaign, l->job->clip[clip], &spec);
    if (!failed(status)) {
        const double clip_s = finish_look_least_of(&spec, l->job->shot_s);
        json_t *overlays = overlay_timed(finish_spec_get(&spec, "overlays"), clip_s);
        Unit *layout = NULL;
        Counted c = {.look = l, .clip = clip};
        overlay_check(overlays, clip_s, finish_look_count, &c);
        if (c.count == 0) layout = add_layout(l, clip, &spec, overlays, shape != NULL);
        if (layout && shape) {
            finish_look_add_shape(l, shape, layout);
            shape = NULL;
        }
        json_decref(overlays);
        look_at_music(l, clip, finish_spec_get(&spec, "music"));
        finish_look_add_voice(l, clip, finish_spec_get(&spec, "voice"));
    }
    free(shape);
    finish_spec_clear(&spec);
    return status;
}

Status finish_look_gather(Look *l, int64_t clip)
{
    char *shape = NULL;
    Unit *like = l->voice ? NULL : finish_look_shape(l, l->job->clip[clip], &shape);
    if (like) like->others += strcmp(l->job->clip[clip], l->job->clip[like->clip]) != 0;
    if (like) return status_ok();
    return gather_one(l, clip, shape);
}

/* Those of a shape that does not fit with all digits, each on its own. */
Status finish_look_gather_split(Look *l)
{
    Status status = status_ok();
    for (int64_t i = 0; i < l->job->count && !failed(status); i++) {
        char *shape;
        const Unit *u = finish_look_shape(l, l->job->clip[i], &shape);
        free(shape);
        if (u && u->is_split) status = gather_one(l, i, NULL);
    }
    return status;
}
