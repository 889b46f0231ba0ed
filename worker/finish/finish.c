#include "finish.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/finish_spec.h"
#include "common/moment.h"
#include "worker/finish/encode.h"
#include "worker/finish/stills.h"

/* What is made of one clip: its renditions, then the two pictures. */
enum { MAX_FILES = MAX_RENDITIONS + 2 };

struct Finish {
    const Lease *lease;
    FinishSpec spec;
    Encode *encode[MAX_RENDITIONS];
    Stills *stills;
    double spent_s; /* in here, while somebody else decodes */
};

/* ---- names --------------------------------------------------------------------------------------------------------- */

static int file_count(const Finish *f) { return f->spec.rendition_count + 2; }

/* Relative to the campaign folder, free() it: renditions first, then thumbnail, then contact sheet. */
static char *relative_name(const Finish *f, int clip, int file)
{
    const FinishSpec *s = &f->spec;
    const char *stem = f->lease->clip[clip].stem;
    if (file == 0) return text_format("clips/%s.mp4", stem);
    if (file < s->rendition_count) return text_format("clips/%s.%s.mp4", stem, s->rendition[file].name);
    return text_format(file == s->rendition_count ? "clips/%s.png" : "clips/%s.sheet.png", stem);
}

static char *full_name(const Finish *f, int clip, int file)
{
    char *name = relative_name(f, clip, file);
    char *path = path_join(f->lease->campaign_folder, name);
    free(name);
    return path;
}

/* The rendition before this one that makes the same file, or -1: platforms often want the same. */
static int same_rendition(const FinishSpec *s, int i)
{
    const Rendition *r = &s->rendition[i];
    for (int k = 0; k < i; k++) {
        const Rendition *q = &s->rendition[k];
        if (q->width == r->width && q->height == r->height && q->crf == r->crf && q->max_kbps == r->max_kbps &&
            strcmp(q->preset, r->preset) == 0)
            return k;
    }
    return -1;
}

static Status duplicate(const Finish *f, int from_clip, int from_file, int clip, int file)
{
    char *from = full_name(f, from_clip, from_file), *to = full_name(f, clip, file);
    Status status = file_duplicate(from, to);
    free(from);
    free(to);
    return status;
}

/* ---- from frames to the first clip's files --------------------------------------------------------------------------- */

static Status begin_all(Finish *f)
{
    const Lease *l = f->lease;
    char *folder = path_join(l->campaign_folder, "clips");
    Status status = file_make_folders(folder);
    free(folder);
    for (int i = 0; i < f->spec.rendition_count && !failed(status); i++) {
        const Rendition *r = &f->spec.rendition[i];
        if (same_rendition(&f->spec, i) >= 0) continue;
        EncodeOptions o = encode_defaults();
        o.width = r->width, o.height = r->height, o.fps = l->shot.fps;
        o.crf = r->crf, o.preset = r->preset, o.max_kbps = r->max_kbps;
        char *path = full_name(f, 0, i);
        status = encode_begin(path, &o, &f->encode[i]);
        free(path);
    }
    if (!failed(status)) status = stills_begin(l->shot.frames, l->shot.fps, &f->stills);
    return status;
}

Status finish_begin(const Lease *lease, Finish **out)
{
    *out = NULL;
    if (lease->clip_count < 1)
        return status_fail(ERR_INPUT, "lease %lld: no clip, expected one at least", (long long)lease->lease);
    *out = memory_get(1, sizeof **out);
    (*out)->lease = lease;
    Status status = finish_spec_read(lease->finish, lease->clip[0].finish, &(*out)->spec);
    if (!failed(status)) status = begin_all(*out);
    if (failed(status)) finish_abandon(out);
    return status;
}

Status finish_put(Finish *f, const float *frames, int n, int height, int width)
{
    double start = moment_s();
    for (int i = 0; i < f->spec.rendition_count; i++)
        if (f->encode[i]) TRY(encode_put(f->encode[i], frames, n, height, width));
    TRY(stills_put(f->stills, frames, n, height, width));
    f->spent_s += moment_s() - start;
    return status_ok();
}

void finish_abandon(Finish **f)
{
    if (!*f) return;
    for (int i = 0; i < MAX_RENDITIONS; i++) encode_abandon(&(*f)->encode[i]);
    stills_free(&(*f)->stills);
    finish_spec_clear(&(*f)->spec);
    free(*f);
    *f = NULL;
}

static Status end_first(Finish *f)
{
    const int count = f->spec.rendition_count;
    for (int i = 0; i < count; i++)
        TRY(f->encode[i] ? encode_end(&f->encode[i]) : duplicate(f, 0, same_rendition(&f->spec, i), 0, i));
    char *thumbnail = full_name(f, 0, count), *sheet = full_name(f, 0, count + 1);
    Status status = stills_write(f->stills, thumbnail, sheet);
    free(sheet);
    free(thumbnail);
    return status;
}

/* ---- the other clips, and what is reported ----------------------------------------------------------------------------- */

/* The clips of a shot show the same frames: the first one's files serve all. */
static Status duplicate_first(const Finish *f, int clip)
{
    for (int i = 0; i < file_count(f); i++) TRY(duplicate(f, 0, i, clip, i));
    return status_ok();
}

static ClipResult clip_result(const Finish *f, int clip, const char *sha256)
{
    const Lease *l = f->lease;
    const Rendition *first = f->spec.rendition;
    ClipResult r = {.clip_id = text_copy(l->clip[clip].clip_id),
                    .file = relative_name(f, clip, 0),
                    .thumbnail = relative_name(f, clip, f->spec.rendition_count),
                    .sheet = relative_name(f, clip, f->spec.rendition_count + 1),
                    .duration_s = (double)l->shot.frames / l->shot.fps,
                    .width = first->width ? first->width : l->shot.width,
                    .height = first->height ? first->height : l->shot.height};
    memcpy(r.sha256, sha256, HASH_TEXT);
    return r;
}

static void append_results(const Finish *f, const char *sha256, LeaseResult *out)
{
    const Lease *l = f->lease;
    ClipResult *all = memory_get((size_t)(out->clip_count + l->clip_count), sizeof *all);
    if (out->clip_count) memcpy(all, out->clip, (size_t)out->clip_count * sizeof *all);
    free(out->clip);
    out->clip = all;
    for (int i = 0; i < l->clip_count; i++) all[out->clip_count++] = clip_result(f, i, sha256);
}

Status finish_end(Finish **finish, Progress progress, LeaseResult *out)
{
    Finish *f = *finish;
    const Lease *l = f->lease;
    char sha256[HASH_TEXT], *first = full_name(f, 0, 0);
    double start = moment_s();
    Status status = end_first(f);
    if (!failed(status)) status = hash_file(first, sha256);
    for (int i = 1; i < l->clip_count && !failed(status); i++) {
        if (progress.at) status = progress.at(progress.self, "finish", i, l->clip_count);
        if (!failed(status)) status = duplicate_first(f, i);
    }
    if (!failed(status)) append_results(f, sha256, out);
    out->finish_s += f->spent_s + moment_s() - start;
    free(first);
    finish_abandon(finish);
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------------------------------- */

static Status sink_put(void *self, const float *frames, int n, int height, int width)
{
    return finish_put(self, frames, n, height, width);
}

Status finish_clips(Engine *e, const RenderedLatents *r, const Lease *lease, Progress progress, LeaseResult *out)
{
    Finish *f = NULL;
    double start = moment_s();
    TRY(finish_begin(lease, &f));
    Status status = render_decode(e, r, NULL, progress, (FrameSink){sink_put, f});
    out->decode_s += moment_s() - start - f->spent_s;
    if (!failed(status)) return finish_end(&f, progress, out);
    finish_abandon(&f);
    return status;
}
