#include "again.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/same_file.h"

void finish_again_clear(FinishAgain *a)
{
    free(a->finish);
    free(a->stem);
    free(a->file);
    clip_result_clear(&a->clip);
    memset(a, 0, sizeof *a);
}

/* Keys whose part of a file is the same for every clip of a shot. A label names its clip in the file's metadata, a watermark hides its
 * number, credentials sign it; of a key that is not here nothing is known. */
static bool is_for_all(const char *key)
{
    static const char *const known[] = {"renditions", "music", "overlays", "gates"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(key, known[i]) == 0) return true;
    return false;
}

static bool is_own(const Lease *l, const FinishJob *job)
{
    const char *key;
    json_t *value;
    if (*l->clip_finish) return true;
    json_object_foreach(job->spec->keys, key, value) if (!is_for_all(key)) return true;
    return false;
}

/* "anna.small.mp4" of anna is "ben.small.mp4" of ben. */
static char *renamed(const FinishAgain *a, const char *name, const char *stem)
{
    return text_format("%s%s", stem, name + strlen(a->stem));
}

static char *renamed_path(const FinishAgain *a, const char *path, const char *stem)
{
    return *path ? text_format("%s/%s%s", lease_clips, stem, path_name(path) + strlen(a->stem)) : text_copy("");
}

void finish_again_remember(FinishAgain *a, const Lease *l, const FinishJob *job, const ClipResult *clip)
{
    finish_again_clear(a);
    if (is_own(l, job)) return;
    memcpy(a->key, l->key, sizeof a->key);
    a->finish = text_copy(l->finish);
    a->stem = text_copy(job->stem);
    a->clip = (ClipResult){.file = text_copy(clip->file),
                           .thumbnail = text_copy(clip->thumbnail),
                           .sheet = text_copy(clip->sheet),
                           .duration_s = clip->duration_s,
                           .width = clip->width,
                           .height = clip->height,
                           .document = text_copy(clip->document)};
    memcpy(a->clip.sha256, clip->sha256, sizeof a->clip.sha256);
    a->clip.name = memory_get((size_t)clip->name_count, sizeof *a->clip.name);
    a->file = memory_get((size_t)clip->name_count, sizeof *a->file);
    bool good = true;
    for (int i = 0; i < clip->name_count; i++) {
        char *path = path_join(job->folder, clip->name[i]);
        a->clip.name[a->clip.name_count++] = text_copy(clip->name[i]);
        good = good && stat(path, &a->file[i]) == 0;
        free(path);
    }
    if (!good) finish_again_clear(a);
}

static bool link_one(const FinishAgain *a, const Lease *l, const FinishJob *job, int i)
{
    char *name = renamed(a, a->clip.name[i], job->stem), *to = path_join(job->folder, name),
         *from = text_format("%s/%s/%s", l->campaign_folder, lease_clips, a->clip.name[i]);
    struct stat now;
    const bool good = stat(from, &now) == 0 && same_file(&now, &a->file[i]) && link(from, to) == 0;
    free(name);
    free(from);
    free(to);
    return good;
}

static void drop_links(const FinishAgain *a, const FinishJob *job, int count)
{
    for (int i = 0; i < count; i++) {
        char *name = renamed(a, a->clip.name[i], job->stem), *path = path_join(job->folder, name);
        unlink(path);
        free(name);
        free(path);
    }
}

/* The document names its files: under the names that they have now. */
static char *renamed_document(const FinishAgain *a, const char *stem)
{
    json_t *document = json_loads(a->clip.document, 0, NULL), *item;
    size_t i;
    json_array_foreach(json_object_get(document, "files"), i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        char *now = renamed(a, name ? name : a->stem, stem);
        json_object_set_new(item, "name", json_string(now));
        free(now);
    }
    char *text = json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(document);
    if (!text) abort();
    return text;
}

bool finish_again(const FinishAgain *a, const Lease *l, const FinishJob *job, ClipResult *out)
{
    if (!a->finish || strcmp(a->key, l->key) != 0 || strcmp(a->finish, l->finish) != 0 || is_own(l, job)) return false;
    if (strcmp(a->stem, job->stem) == 0) return false; /* the same clip again: its file may be what was wrong */
    for (int i = 0; i < a->clip.name_count; i++)
        if (!link_one(a, l, job, i)) return drop_links(a, job, i), false;
    *out = (ClipResult){.clip_id = text_copy(job->clip_id),
                        .file = renamed_path(a, a->clip.file, job->stem),
                        .thumbnail = renamed_path(a, a->clip.thumbnail, job->stem),
                        .sheet = renamed_path(a, a->clip.sheet, job->stem),
                        .duration_s = a->clip.duration_s,
                        .width = a->clip.width,
                        .height = a->clip.height,
                        .document = renamed_document(a, job->stem)};
    memcpy(out->sha256, a->clip.sha256, sizeof out->sha256);
    out->name = memory_get((size_t)a->clip.name_count, sizeof *out->name);
    for (; out->name_count < a->clip.name_count; out->name_count++)
        out->name[out->name_count] = renamed(a, a->clip.name[out->name_count], job->stem);
    return true;
}
