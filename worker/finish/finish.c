#include "finish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "worker/finish/label.h"
#include "worker/finish/page.h"
#include "worker/finish/rates.h"
#include "worker/finish/still_layers.h"
#include "worker/finish/stills.h"
#include "worker/finish/team.h"
#include "worker/proof/prove.h"
#include "worker/proof/xmp.h"

enum { CHUNK = 4 /* frames that are worked on at a time */ };

struct Finish {
    FinishJob job;
    Extras extras;
    Prove *prove;              /* NULL: the campaign asks for no gates and no proofs */
    bool twin[MAX_RENDITIONS]; /* another rendition makes the same file */
    Rates *rates;
    Output *output[MAX_RENDITIONS];
    json_t *report[MAX_RENDITIONS]; /* of each output */
    Stills *stills;
    char *name[CLIP_MAX_FILES]; /* as they are called in clips/ */
    int name_count;
    json_t *document;
};

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
    const char *ending = finish_spec_ending(&s->rendition[i]);
    const bool says_it = strcmp(s->rendition[i].name, ending) == 0; /* gif.gif */
    return i == 0 || says_it ? text_copy(ending) : text_format("%s.%s", s->rendition[i].name, ending);
}

/* What of a rendition decides about the bytes of this clip's file. */
static json_t *substance(const Finish *f, int i)
{
    Rendition r = f->job.spec->rendition[i];
    r.fps = finish_spec_fps(&r, f->job.shot->fps);
    r.min_fps = r.max_fps = 0;
    r.min_s = r.max_s = 0;
    if (strcmp(r.kind, "gif") != 0) r.max_mb = 0;
    if (json_array_size(f->extras.overlays) == 0 && !f->extras.label)
        r.safe_top = r.safe_right = r.safe_bottom = r.safe_left = 0;
    if (f->extras.sound.count)
        snprintf(r.sound, sizeof r.sound, "%s", strcmp(r.sound, "none") == 0 ? "none" : "always");
    snprintf(r.name, sizeof r.name, "any");
    return finish_spec_renditions(&r, 1);
}

/* The rendition before this one that makes the same file, or -1: platforms often want the same. */
static int same_rendition(const Finish *f, int i)
{
    json_t *own = substance(f, i);
    int found = -1;
    for (int k = 0; k < i && found < 0; k++) {
        json_t *other = substance(f, k);
        if (json_equal(own, other)) found = k;
        json_decref(other);
    }
    json_decref(own);
    return found;
}

/* ---- from frames to files ------------------------------------------------------------------------------------------- */

static Status begin_output(Finish *f, int i)
{
    const FinishJob *job = &f->job;
    const char *producer = json_string_value(finish_spec_get(job->spec, "producer"));
    const OutputOrder order = {.rendition = &job->spec->rendition[i],
                               .width = job->shot->width,
                               .height = job->shot->height,
                               .frames = job->shot->frames,
                               .fps = job->shot->fps,
                               .extras = &f->extras,
                               .producer = producer ? producer : "",
                               .clip_id = job->clip_id,
                               .prove = f->prove,
                               .number = i};
    char *ending = rendition_ending(job->spec, i), *path = finish_add_file(f, ending);
    f->twin[i] = same_rendition(f, i) >= 0;
    if (f->twin[i]) prove_same(f->prove, i, same_rendition(f, i));
    Status status = f->twin[i] ? status_ok() : output_begin(path, &order, &f->output[i]);
    free(ending);
    free(path);
    return status;
}

static Status begin_all(Finish *f)
{
    const FinishSpec *s = f->job.spec;
    const ShotSpec *shot = f->job.shot;
    TRY(extras_open(s, shot->frames, shot->fps, (ExtrasFolders){f->job.voices, f->job.folder, f->job.speech},
                    &f->extras));
    const ProveJob prove = {.spec = s,
                            .shot = shot,
                            .clip_id = f->job.clip_id,
                            .secret_file = f->job.secret_file,
                            .took = f->job.took,
                            .duration_s = f->extras.duration_s,
                            .sound = f->extras.sound.count > 0};
    TRY(prove_begin(&prove, &f->prove));
    for (int i = 0; i < s->rendition_count; i++) TRY(begin_output(f, i));
    TRY(rates_open(s->rendition, f->twin, s->rendition_count, shot->fps, f->job.source, &f->rates));
    return stills_begin(shot->frames, shot->fps, &f->stills);
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
    for (int i = 0; i < MAX_RENDITIONS; i++) {
        output_abandon(&f->output[i]);
        json_decref(f->report[i]);
    }
    rates_close(&f->rates);
    extras_close(&f->extras);
    stills_free(&f->stills);
    prove_abandon(&f->prove);
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

/* Tasks of a team: first each rate that is not the shot's; then the renditions, the stills, the gates, and the reading of what comes next. */
static Status do_rate(void *self, int number)
{
    Chunk *c = self;
    return rates_convert(c->finish->rates, number, c->frames, c->n, c->height, c->width);
}

static Status do_task(void *self, int task)
{
    Chunk *c = self;
    Finish *f = c->finish;
    if (task < f->job.spec->rendition_count) {
        int n;
        if (!f->output[task]) return status_ok();
        const float *frames = rates_frames(f->rates, task, &n);
        return output_put(f->output[task], frames, n, c->height, c->width);
    }
    if (task == f->job.spec->rendition_count) return stills_put(f->stills, c->frames, c->n, c->height, c->width);
    if (task == f->job.spec->rendition_count + 1) return prove_frames(f->prove, c->frames, c->n, c->height, c->width);
    return c->reader ? read_chunk(c) : status_ok();
}

static Status do_chunk(Chunk *c)
{
    const int threads = c->finish->job.threads;
    TRY(team_do(threads, rates_count(c->finish->rates), do_rate, c));
    return team_do(threads, c->finish->job.spec->rendition_count + 3, do_task, c);
}

Status finish_put(Finish *f, const float *frames, int n, int height, int width)
{
    Chunk c = {.finish = f, .frames = frames, .n = n, .height = height, .width = width};
    return do_chunk(&c);
}

/* Every file says by itself that it was generated; before it is duplicated, and before it is signed. */
static Status mark_file(const Finish *f, const char *path)
{
    const char *producer = json_string_value(finish_spec_get(f->job.spec, "producer"));
    char *aigc = f->extras.label ? label_metadata(f->extras.label, producer ? producer : "", f->job.clip_id) : NULL;
    Status status = xmp_add(path, aigc);
    free(aigc);
    return status;
}

static Status end_rendition(void *self, int i)
{
    Finish *f = self;
    if (!f->output[i]) return status_ok();
    TRY(output_end(&f->output[i], &f->report[i]));
    char *path = path_join(f->job.folder, f->name[i]);
    Status status = mark_file(f, path);
    free(path);
    return status;
}

static Status duplicate(const Finish *f, int from, int to)
{
    char *source = path_join(f->job.folder, f->name[from]), *path = path_join(f->job.folder, f->name[to]);
    Status status = file_duplicate(source, path);
    free(source);
    free(path);
    return status;
}

static Status write_text(Finish *f, const char *ending, char *text)
{
    char *path = finish_add_file(f, ending);
    Status status = file_replace(path, text, strlen(text));
    free(path);
    free(text);
    return status;
}

/* When all that it names has a name. */
static Status write_page(Finish *f)
{
    const FinishSpec *s = f->job.spec;
    const Extras *e = &f->extras;
    char *captions = text_format("%s.vtt", f->job.stem), *thumbnail = text_format("%s.png", f->job.stem), *vtt = NULL;
    Page page = {.page = finish_spec_get(s, "page"),
                 .values = finish_spec_get(s, "page_values"),
                 .thumbnail = thumbnail,
                 .language = e->language,
                 .label = e->label,
                 .clip_id = f->job.clip_id,
                 .duration_s = e->duration_s};
    Status status = status_ok();
    if (!page.page) goto out;
    for (; page.file_count < s->rendition_count; page.file_count++) {
        const Rendition *r = &s->rendition[page.file_count];
        page.file[page.file_count] = (PageFile){f->name[page.file_count], r, r->width ? r->width : f->job.shot->width,
                                                r->height ? r->height : f->job.shot->height};
    }
    if (e->subtitles.count) {
        page.captions = captions;
        page.captions_vtt = vtt = subtitles_vtt(&e->subtitles);
    }
    char *path = finish_add_file(f, "html");
    status = page_write(path, &page);
    if (!failed(status)) finish_note(f, "page", json_sprintf("%s.html", f->job.stem));
    free(path);
out:
    free(captions);
    free(thumbnail);
    free(vtt);
    return status;
}

static Status write_subtitles(Finish *f)
{
    if (f->extras.subtitles.count == 0) return status_ok();
    TRY(write_text(f, "vtt", subtitles_vtt(&f->extras.subtitles)));
    finish_note(f, "captions", json_sprintf("%s.vtt", f->job.stem));
    return write_text(f, "srt", subtitles_srt(&f->extras.subtitles));
}

static void prove_frame(Finish *f, int number, AVFrame *still)
{
    if (still) prove_still(f->prove, number, still->data[0], still->linesize[0], still->width, still->height);
}

static Status end_all(Finish *f, char **thumbnail, char **sheet)
{
    const FinishSpec *s = f->job.spec;
    Chunk last = {.finish = f, .height = f->job.shot->height, .width = f->job.shot->width};
    TRY(team_do(f->job.threads, rates_count(f->rates), do_rate, &last));
    for (int i = 0; i < s->rendition_count; i++)
        if (f->output[i]) TRY(do_task(&last, i));
    TRY(team_do(f->job.threads, s->rendition_count, end_rendition, f));
    for (int i = 0; i < s->rendition_count; i++)
        if (f->twin[i]) TRY(duplicate(f, same_rendition(f, i), i));
    TRY(still_layers_draw(f->stills, &f->extras));
    prove_frame(f, PROVE_THUMBNAIL, stills_thumbnail(f->stills));
    TRY(write_subtitles(f));
    TRY(write_page(f));
    *thumbnail = finish_add_file(f, "png");
    *sheet = finish_add_file(f, "sheet.png");
    TRY(stills_write(f->stills, *thumbnail, *sheet));
    TRY(mark_file(f, *thumbnail));
    return mark_file(f, *sheet);
}

/* Signing changes the files: it comes last. */
static Status prove_all(Finish *f, const char *thumbnail, const char *sheet)
{
    const int count = f->job.spec->rendition_count;
    char *path[MAX_RENDITIONS] = {0};
    ProveFiles files = {0};
    for (int i = 0; i < count; i++) {
        files.path[i] = path[i] = path_join(f->job.folder, f->name[i]);
        files.is_video[i] = strcmp(finish_spec_ending(&f->job.spec->rendition[i]), "mp4") == 0;
    }
    files.path[PROVE_THUMBNAIL] = thumbnail;
    files.path[PROVE_SHEET] = sheet;
    Status status = prove_end(&f->prove, &files, f->document);
    for (int i = 0; i < count; i++) free(path[i]);
    return status;
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

/* A code that a customer cannot use is for a person to decide about, where no gate of the campaign says what becomes of it. */
static void note_unread_codes(Finish *f)
{
    const json_t *gate = json_object_get(json_object_get(json_object_get(f->document, "gates"), "gates"), "qr");
    const char *code = NULL;
    for (int i = 0; i < f->job.spec->rendition_count; i++) {
        const char *unread = json_string_value(json_object_get(f->report[i], "unread"));
        if (!unread || code) continue;
        code = unread;
        finish_note(f, "unread", json_sprintf("%s cannot be read in %s", code, f->name[i]));
    }
    json_t *held_by = json_object_get(f->document, "held_by");
    if (!code || gate) return;
    if (!held_by) finish_note(f, "held_by", held_by = json_array());
    json_array_append_new(held_by, json_string("qr"));
}

/* Of each rendition: its rate, length and loudness; of an engine's voice, what it said of itself. */
static void describe_outputs(Finish *f)
{
    json_t *all = json_object();
    for (int i = 0; i < f->job.spec->rendition_count; i++) {
        const Rendition *r = &f->job.spec->rendition[i];
        int from = f->twin[i] ? same_rendition(f, i) : i;
        if (f->report[from]) json_object_set(all, r->name, f->report[from]);
        if (strcmp(finish_spec_ending(r), "gif") == 0) finish_note(f, "gif", json_string(f->name[i]));
    }
    finish_note(f, "outputs", all);
    if (f->extras.voice.report) finish_note(f, "voice", json_incref(f->extras.voice.report));
}

static void describe_clip(Finish *f, ClipResult *out)
{
    const ShotSpec *shot = f->job.shot;
    const Rendition *first = f->job.spec->rendition;
    out->clip_id = text_copy(f->job.clip_id);
    out->file = text_format("%s/%s", lease_clips, f->name[0]);
    out->thumbnail = text_format("%s/%s.png", lease_clips, f->job.stem);
    out->sheet = text_format("%s/%s.sheet.png", lease_clips, f->job.stem);
    out->duration_s = f->extras.duration_s;
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
    if (!failed(status)) status = prove_all(f, thumbnail, sheet);
    if (!failed(status)) note_unread_codes(f);
    if (!failed(status)) status = describe_files(f, out);
    if (!failed(status)) {
        describe_outputs(f);
        describe_clip(f, out);
    }
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
