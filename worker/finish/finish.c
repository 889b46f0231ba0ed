#include "finish.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "worker/finish/encode.h"
#include "worker/finish/stills.h"
#include "worker/finish/team.h"

enum { CHUNK = 4 /* frames that are worked on at a time */ };

struct Finish {
    FinishJob job;
    Encode *encode[MAX_RENDITIONS];
    Stills *stills;
    char *name[CLIP_MAX_FILES]; /* as they are called in clips/ */
    int name_count;
    json_t *document;
};

const FinishJob *finish_job(const Finish *f) { return &f->job; }

void finish_note(Finish *f, const char *key, json_t *value) { json_object_set_new(f->document, key, value); }

char *finish_add_file(Finish *f, const char *ending)
{
    if (f->name_count == CLIP_MAX_FILES) abort(); /* more kinds of files than a result can hold */
    char *name = f->name[f->name_count++] = text_format("%s.%s", f->job.stem, ending);
    return path_join(f->job.folder, name);
}

/* ---- names --------------------------------------------------------------------------------------------------------- */

static char *rendition_ending(const FinishSpec *s, int i)
{
    return i == 0 ? text_copy("mp4") : text_format("%s.mp4", s->rendition[i].name);
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

/* ---- from frames to files ------------------------------------------------------------------------------------------- */

static Status begin_all(Finish *f)
{
    const FinishSpec *s = f->job.spec;
    Status status = status_ok();
    for (int i = 0; i < s->rendition_count && !failed(status); i++) {
        const Rendition *r = &s->rendition[i];
        EncodeOptions o = encode_defaults();
        o.width = r->width, o.height = r->height, o.fps = f->job.shot->fps;
        o.crf = r->crf, o.preset = r->preset, o.max_kbps = r->max_kbps;
        char *ending = rendition_ending(s, i), *path = finish_add_file(f, ending);
        if (same_rendition(s, i) < 0) status = encode_begin(path, &o, &f->encode[i]);
        free(ending);
        free(path);
    }
    if (!failed(status)) status = stills_begin(f->job.shot->frames, f->job.shot->fps, &f->stills);
    return status;
}

Status finish_begin(const FinishJob *job, Finish **out)
{
    *out = memory_get(1, sizeof **out);
    (*out)->job = *job;
    (*out)->document = json_object();
    Status status = begin_all(*out);
    if (failed(status)) finish_abandon(out);
    return status;
}

void finish_abandon(Finish **finish)
{
    Finish *f = *finish;
    if (!f) return;
    for (int i = 0; i < MAX_RENDITIONS; i++) encode_abandon(&f->encode[i]);
    stills_free(&f->stills);
    for (int i = 0; i < f->name_count; i++) free(f->name[i]);
    json_decref(f->document);
    free(f);
    *finish = NULL;
}

typedef struct { /* frames that all renditions and the stills take, and the next ones, which are read meanwhile */
    Finish *finish;
    const float *frames;
    int n, height, width;
    MasterReader *reader; /* NULL: nothing is read */
    float *next;
    int next_count;
} Chunk;

static Status read_chunk(Chunk *c)
{
    const size_t size = (size_t)c->height * (size_t)c->width * 3;
    for (c->next_count = 0; c->next_count < CHUNK; c->next_count++) {
        const float *frame;
        TRY(master_next(c->reader, &frame));
        if (!frame) break;
        memcpy(c->next + (size_t)c->next_count * size, frame, size * sizeof *frame);
    }
    return status_ok();
}

/* Tasks of a team: the renditions, largest work first as campaigns name them, then the stills, then the reading. */
static Status do_task(void *self, int task)
{
    Chunk *c = self;
    Finish *f = c->finish;
    if (task < f->job.spec->rendition_count)
        return f->encode[task] ? encode_put(f->encode[task], c->frames, c->n, c->height, c->width) : status_ok();
    if (task == f->job.spec->rendition_count) return stills_put(f->stills, c->frames, c->n, c->height, c->width);
    return c->reader ? read_chunk(c) : status_ok();
}

static Status do_chunk(Chunk *c)
{
    return team_do(c->finish->job.threads, c->finish->job.spec->rendition_count + 2, do_task, c);
}

Status finish_put(Finish *f, const float *frames, int n, int height, int width)
{
    Chunk c = {.finish = f, .frames = frames, .n = n, .height = height, .width = width};
    return do_chunk(&c);
}

static Status end_rendition(void *self, int i)
{
    Finish *f = self;
    return f->encode[i] ? encode_end(&f->encode[i]) : status_ok();
}

static Status duplicate(const Finish *f, int from, int to)
{
    char *source = path_join(f->job.folder, f->name[from]), *path = path_join(f->job.folder, f->name[to]);
    Status status = file_duplicate(source, path);
    free(source);
    free(path);
    return status;
}

static Status end_all(Finish *f, char **thumbnail, char **sheet)
{
    const FinishSpec *s = f->job.spec;
    TRY(team_do(f->job.threads, s->rendition_count, end_rendition, f));
    for (int i = 0; i < s->rendition_count; i++)
        if (same_rendition(s, i) >= 0) TRY(duplicate(f, same_rendition(s, i), i));
    *thumbnail = finish_add_file(f, "png");
    *sheet = finish_add_file(f, "sheet.png");
    return stills_write(f->stills, *thumbnail, *sheet);
}

/* ---- what is reported ------------------------------------------------------------------------------------------------ */

static Status describe_files(Finish *f, ClipResult *out)
{
    json_t *list = json_array();
    for (int i = 0; i < f->name_count; i++) {
        int64_t bytes;
        char sha256[HASH_TEXT], *path = path_join(f->job.folder, f->name[i]);
        Status status = file_size(path, &bytes);
        if (!failed(status)) status = hash_file(path, sha256);
        free(path);
        if (failed(status)) return json_decref(list), status;
        if (i == 0) memcpy(out->sha256, sha256, sizeof sha256);
        json_array_append_new(
            list, json_pack("{s:s,s:I,s:s}", "name", f->name[i], "bytes", (json_int_t)bytes, "sha256", sha256));
    }
    finish_note(f, "files", list);
    return status_ok();
}

static void describe_clip(Finish *f, ClipResult *out)
{
    const ShotSpec *shot = f->job.shot;
    const Rendition *first = f->job.spec->rendition;
    out->clip_id = text_copy(f->job.clip_id);
    out->file = text_format("%s/%s.mp4", lease_clips, f->job.stem);
    out->thumbnail = text_format("%s/%s.png", lease_clips, f->job.stem);
    out->sheet = text_format("%s/%s.sheet.png", lease_clips, f->job.stem);
    out->duration_s = (double)shot->frames / shot->fps;
    out->width = first->width ? first->width : shot->width;
    out->height = first->height ? first->height : shot->height;
    out->document = json_dumps(f->document, JSON_COMPACT | JSON_SORT_KEYS);
    if (!out->document) abort();
    out->name = memory_get((size_t)f->name_count, sizeof *out->name);
    for (; out->name_count < f->name_count; out->name_count++)
        out->name[out->name_count] = text_copy(f->name[out->name_count]);
}

Status finish_end(Finish **finish, ClipResult *out)
{
    Finish *f = *finish;
    char *thumbnail = NULL, *sheet = NULL;
    *out = (ClipResult){0};
    Status status = end_all(f, &thumbnail, &sheet);
    if (!failed(status)) status = describe_files(f, out);
    if (!failed(status)) describe_clip(f, out);
    free(thumbnail);
    free(sheet);
    finish_abandon(finish);
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------------------------------- */

/* The master may be named as what failed by its reader alone: the rest would fail with another one, too. */
static Status finish_frames(Finish *f, MasterReader *reader, Progress progress, bool *master_bad)
{
    const ShotSpec *shot = f->job.shot;
    const size_t size = (size_t)shot->width * (size_t)shot->height * 3 * CHUNK;
    float *at_hand = malloc(size * sizeof *at_hand), *next = malloc(size * sizeof *next);
    Chunk c = {.finish = f, .height = shot->height, .width = shot->width, .reader = reader, .next = at_hand};
    Status status = at_hand && next ? read_chunk(&c) : status_fail(ERR_NODE, "out of memory for frames");
    for (int done = 0; !failed(status) && c.next_count > 0; done += c.n) {
        float *now = c.next;
        c.frames = now;
        c.n = c.next_count;
        c.next = now == at_hand ? next : at_hand;
        if (progress.at) status = progress.at(progress.self, "finish", done, shot->frames);
        if (!failed(status)) status = do_chunk(&c);
    }
    *master_bad = status.err == ERR_RETRY;
    free(at_hand);
    free(next);
    return status;
}

Status finish_clip(const FinishJob *job, Progress progress, ClipResult *out, bool *master_bad)
{
    Finish *f = NULL;
    MasterReader *reader = NULL;
    const MasterShape shape = {job->shot->width, job->shot->height, job->shot->frames, job->shot->fps};
    Status status = master_open(job->master, &shape, job->threads, &reader);
    *out = (ClipResult){0};
    *master_bad = status.err == ERR_RETRY;
    if (!failed(status)) status = finish_begin(job, &f);
    if (!failed(status)) status = finish_frames(f, reader, progress, master_bad);
    if (!failed(status)) status = finish_end(&f, out);
    finish_abandon(&f);
    master_close(&reader);
    return status;
}
