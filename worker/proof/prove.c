#include "prove.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/moment.h"
#include "common/secret_file.h"
#include "worker/cameo/likeness.h"
#include "worker/gate/gate.h"
#include "worker/pictures/pixels.h"
#include "worker/proof/credentials.h"
#include "worker/proof/fingerprint.h"
#include "worker/proof/measure.h"
#include "worker/proof/watermark.h"

struct Prove {
    ProveJob job;
    const char *campaign;
    Gate *gate;
    Pixels *pixels; /* the shot's frames as gates want them */
    AVFrame *frame;
    int frames;
    bool marks;
    uint8_t key[WATERMARK_KEY_BYTES];
    uint64_t payload;
    Watermark *watermark[PROVE_FILES];
    bool too_small[PROVE_FILES];
    bool marked[PROVE_FILES]; /* the mark was read back from its file */
    int from[PROVE_FILES];    /* which rendition it is a copy of; itself */
    FingerprintMaker *looks;
    bool no_looks; /* too small, too */
    int pictures;  /* of the first rendition */
    const json_t *credentials;
    FinishTook took;
    pthread_mutex_t telling; /* of the gate, and of what it took */
};

/* ---- beginning --------------------------------------------------------------------------------------------------------------------- */

static Status begin_gates(Prove *p, const json_t *bounds)
{
    GateSet set;
    char *text = json_dumps(bounds, JSON_COMPACT);
    Status status = text ? gate_set_parse(text, &set) : status_fail(ERR_INPUT, "gates: not a JSON object");
    free(text);
    if (failed(status)) return status;
    p->gate = gate_begin(&set, (GatePromise){.length_s = p->job.duration_s, .sound = p->job.sound});
    return status_ok();
}

static Status begin_mark(Prove *p)
{
    uint8_t secret[SECRET_FILE_BYTES];
    TRY(secret_file_read(p->job.secret_file, secret));
    watermark_key(secret, sizeof secret, p->key);
    explicit_bzero(secret, sizeof secret);
    p->payload = watermark_payload(p->campaign, p->job.clip_id);
    p->marks = true;
    return status_ok();
}

Status prove_begin(const ProveJob *job, Prove **out)
{
    const json_t *gates = finish_spec_get(job->spec, "gates"), *mark = finish_spec_get(job->spec, "watermark");
    const json_t *credentials = finish_spec_get(job->spec, "credentials");
    const char *campaign = json_string_value(finish_spec_get(job->spec, "campaign"));
    *out = NULL;
    if (!json_is_object(gates) && !json_is_true(mark) && !json_is_object(credentials)) return status_ok();
    Prove *p = *out = memory_get(1, sizeof *p);
    p->job = *job;
    p->campaign = campaign ? campaign : "";
    p->credentials = json_is_object(credentials) ? credentials : NULL;
    for (int i = 0; i < PROVE_FILES; i++) p->from[i] = i;
    pthread_mutex_init(&p->telling, NULL);
    Status status = json_is_object(gates) ? begin_gates(p, gates) : status_ok();
    if (!failed(status) && json_is_true(mark)) status = begin_mark(p);
    if (failed(status)) prove_abandon(out);
    return status;
}

void prove_same(Prove *p, int rendition, int from)
{
    if (p) p->from[rendition] = from;
}

void prove_abandon(Prove **prove)
{
    Prove *p = *prove;
    if (!p) return;
    gate_abandon(&p->gate);
    pixels_close(&p->pixels);
    av_frame_free(&p->frame);
    for (int i = 0; i < PROVE_FILES; i++) watermark_free(&p->watermark[i]);
    fingerprint_abandon(&p->looks);
    explicit_bzero(p->key, sizeof p->key);
    pthread_mutex_destroy(&p->telling);
    free(p);
    *prove = NULL;
}

/* From any thread. */
static void add_time(Prove *p, double *to, double begin_s)
{
    const double s = moment_s() - begin_s;
    pthread_mutex_lock(&p->telling);
    *to += s;
    pthread_mutex_unlock(&p->telling);
}

/* ---- while it is encoded --------------------------------------------------------------------------------------------------------------- */

static Status measure_frame(Prove *p, const float *rgb, int height, int width)
{
    if (!p->pixels) {
        TRY(pixels_open(width, height, width, height, AV_PIX_FMT_YUV420P, &p->pixels));
        TRY(pixels_frame(width, height, AV_PIX_FMT_YUV420P, &p->frame));
    }
    gate_floats(p->gate, rgb, (size_t)height * (size_t)width * 3);
    TRY(pixels_convert(p->pixels, rgb, p->frame, 0, 0));
    FilmPicture picture = {.width = width, .height = height, .at_s = (double)p->frames++ / p->job.shot->fps};
    for (int i = 0; i < 3; i++) {
        picture.plane[i] = p->frame->data[i];
        picture.stride[i] = p->frame->linesize[i];
    }
    return gate_picture(p->gate, &picture);
}

Status prove_frames(Prove *p, const float *frames, int n, int height, int width)
{
    if (!p || !p->gate) return status_ok();
    const double begin_s = moment_s();
    for (int i = 0; i < n; i++)
        TRY(measure_frame(p, frames + (size_t)i * 3 * (size_t)height * (size_t)width, height, width));
    add_time(p, &p->took.gates_s, begin_s);
    return status_ok();
}

/* NULL: pictures of that size are not marked. */
static Watermark *watermark_of(Prove *p, int number, int width, int height)
{
    if (!p->watermark[number] && !p->too_small[number])
        p->too_small[number] = failed(watermark_new(p->key, p->payload, width, height, &p->watermark[number]));
    return p->watermark[number];
}

static void mark_picture(Prove *p, const ProvePicture *of)
{
    Watermark *w = watermark_of(p, of->rendition, of->width, of->height);
    const double begin_s = moment_s();
    if (w) watermark_embed(w, of->plane[0], of->stride[0]);
    add_time(p, &p->took.watermark_s, begin_s);
}

void prove_still(Prove *p, int number, uint8_t *rgb, int stride, int width, int height)
{
    Watermark *w = p && p->marks ? watermark_of(p, number, width, height) : NULL;
    if (!w) return;
    const double begin_s = moment_s();
    watermark_embed_rgb(w, rgb, stride);
    add_time(p, &p->took.watermark_s, begin_s);
}

static Status look_at_picture(Prove *p, const ProvePicture *of)
{
    if (!p->looks && !p->no_looks) {
        Status status = fingerprint_begin(of->width, of->height, of->fps, &p->looks);
        p->no_looks = status.err == ERR_INPUT;
        if (failed(status)) return p->no_looks ? status_ok() : status;
    }
    if (!p->looks) return status_ok();
    FilmPicture picture = {.width = of->width, .height = of->height, .at_s = (double)p->pictures++ / of->fps};
    for (int i = 0; i < 3; i++) {
        picture.plane[i] = of->plane[i];
        picture.stride[i] = of->stride[i];
    }
    return fingerprint_picture(p->looks, &picture);
}

Status prove_picture(Prove *p, const ProvePicture *of)
{
    if (!p) return status_ok();
    if (p->marks) mark_picture(p, of);
    return of->rendition == 0 && (p->marks || p->credentials) ? look_at_picture(p, of) : status_ok();
}

bool prove_measures(const Prove *p) { return p && p->gate; }

void prove_tell(Prove *p, int gate, double value, double at_s)
{
    if (!prove_measures(p)) return;
    pthread_mutex_lock(&p->telling);
    gate_tell(p->gate, gate, value, at_s);
    pthread_mutex_unlock(&p->telling);
}

/* ---- of the finished files -------------------------------------------------------------------------------------------------------------- */

static Status hear(void *self, const float *samples, int count, int channels, int rate, double at_s)
{
    (void)at_s;
    return gate_sound(self, samples, count, channels, rate);
}

static Status fail_at(const GateReport *r)
{
    for (int i = 0; i < GATE_COUNT; i++) {
        const GateFinding *f = &r->gate[i];
        if (f->verdict != GATE_FAIL) continue;
        if (f->at_count)
            return status_fail(ERR_CLIP, "gate %s: %.4g %s, at most %.4g passes; at %.2f s", gate_name[i], f->value,
                               gate_unit[i], f->threshold, f->at[0]);
        return status_fail(ERR_CLIP, "gate %s: %.4g %s, the bound is %.4g", gate_name[i], f->value, gate_unit[i],
                           f->threshold);
    }
    return status_ok();
}

/* The index is read once for all clips that this process finishes: what other campaigns add in the same night is not in it. */
static Status compare_looks(Prove *p)
{
    static char *folder;
    static LooksIndex index;
    const char *wanted = json_string_value(finish_spec_get(p->job.spec, "looks"));
    double distance;
    if (!wanted) return status_ok();
    if (!folder || strcmp(folder, wanted) != 0) {
        looks_index_clear(&index);
        free(folder);
        folder = NULL;
        TRY(looks_index_read(wanted, p->campaign, &index));
        folder = text_copy(wanted);
    }
    if (looks_index_nearest(&index, gate_looks(p->gate), &distance)) gate_tell(p->gate, GATE_duplicate, distance, NAN);
    return status_ok();
}

static Status measure_more(Prove *p, const char *video, json_t *document)
{
    const char *command = json_string_value(finish_spec_get(p->job.spec, "measure"));
    json_t *said = NULL;
    if (!command) return status_ok();
    const MeasureWish wish = {command, video, p->job.spec, p->job.shot};
    TRY(measure_by_command(&wish, p->gate, &said));
    json_object_set_new(document, "measure", said);
    return status_ok();
}

static Status end_gates(Prove *p, const char *video, json_t *document, json_t *held_by)
{
    GateReport report;
    FilmInfo info;
    TRY(film_read(video, (FilmSink){p->gate, NULL, p->job.sound ? hear : NULL}, &info));
    TRY(compare_looks(p));
    TRY(measure_more(p, video, document));
    gate_end(&p->gate, &info, &report);
    json_object_set_new(document, "gates", gate_report_json(&report));
    for (int i = 0; i < GATE_COUNT; i++)
        if (report.gate[i].verdict == GATE_HOLD) json_array_append_new(held_by, json_string(gate_name[i]));
    return fail_at(&report);
}

static Status read_one(Prove *p, const char *path, int number, json_t *list)
{
    WatermarkReading r = {.p_value = 1};
    TRY(watermark_file(path, p->key, &p->payload, &r));
    p->marked[number] = r.found;
    json_array_append_new(list, json_pack("{s:s, s:b, s:f, s:f, s:f}", "file", path_name(path), "found", r.found,
                                          "bit_accuracy", r.bit_accuracy, "p_value", r.p_value, "sigma", r.z));
    return status_ok();
}

/* Every file is in the list, also one that carries no mark. */
static Status read_back(Prove *p, const ProveFiles *files, json_t *document, json_t *held_by)
{
    json_t *list = json_array();
    bool lost = false, any = false;
    Status status = status_ok();
    for (int i = 0; i < PROVE_FILES && !failed(status); i++) {
        const bool marked = p->watermark[p->from[i]] != NULL;
        const char *path = files->path[i];
        if (!path) continue;
        if (marked)
            status = read_one(p, path, i, list);
        else
            json_array_append_new(list, json_pack("{s:s, s:b, s:s}", "file", path_name(path), "found", 0, "why",
                                                  p->too_small[p->from[i]] ? "too small to be marked" : "not marked"));
        lost = lost || (marked && !p->marked[i]);
        any = any || p->marked[i];
    }
    json_object_set_new(document, "watermarks", list);
    if (lost) json_array_append_new(held_by, json_string("watermark"));
    char said[32];
    snprintf(said, sizeof said, "%016llx", (unsigned long long)p->payload);
    json_object_set_new(document, "watermark",
                        json_string(lost  ? "not read back"
                                    : any ? said
                                          : "too small to be marked"));
    return status;
}

/* iscc: the fingerprint of the videos' pictures; stills have none. A claim says what is in this very file. */
static Status sign_all(Prove *p, const ProveFiles *files, const char *iscc)
{
    char consent[HASH_TEXT] = "";
    const json_t *cameo = finish_spec_get(p->job.spec, "cameo"), *trust = finish_spec_get(p->job.spec, "trust");
    if (cameo && trust) TRY(likeness_consent(trust, cameo, consent));
    CredentialsClaim claim = {.certificate = json_string_value(json_object_get(p->credentials, "certificate")),
                              .key = json_string_value(json_object_get(p->credentials, "key")),
                              .signer = json_string_value(json_object_get(p->credentials, "signer")),
                              .timestamp = json_string_value(json_object_get(p->credentials, "timestamp")),
                              .clip = p->job.clip_id,
                              .campaign = p->campaign,
                              .watermark = p->payload,
                              .model = finish_spec_get(p->job.spec, "model"),
                              .consent_sha256 = *consent ? consent : NULL};
    if (!claim.certificate || !(claim.key || claim.signer))
        return status_fail(ERR_INPUT, "credentials: expected a certificate, and a key or a signer");
    for (int i = 0; i < PROVE_FILES; i++) {
        claim.watermarked = p->marked[i];
        claim.iscc = files->is_video[i] ? iscc : NULL;
        if (files->path[i]) TRY(credentials_sign(files->path[i], &claim));
    }
    return status_ok();
}

static Status end_all(Prove *p, const ProveFiles *files, json_t *document, json_t *held_by)
{
    char iscc[FINGERPRINT_TEXT] = "";
    if (p->looks) {
        Fingerprint f;
        TRY(fingerprint_end(&p->looks, &f));
        fingerprint_text(&f, 256, iscc);
        json_object_set_new(document, "iscc", json_string(iscc));
    }
    const bool gates = p->gate != NULL;
    double begin_s = moment_s();
    for (int i = 0; i < PROVE_FILES; i++)
        if (p->gate && files->is_video[i])
            TRY(end_gates(p, files->path[i], document, held_by)); /* ends p->gate: of the first one only */
    if (gates) add_time(p, &p->took.gates_s, begin_s);
    begin_s = moment_s();
    if (p->marks) {
        TRY(read_back(p, files, document, held_by));
        add_time(p, &p->took.watermark_s, begin_s);
    }
    if (!p->credentials) return status_ok();
    begin_s = moment_s();
    TRY(sign_all(p, files, *iscc ? iscc : NULL));
    add_time(p, &p->took.credentials_s, begin_s);
    json_object_set_new(document, "credentials", json_string("signed"));
    return status_ok();
}

Status prove_end(Prove **prove, const ProveFiles *files, json_t *document)
{
    if (!*prove) return status_ok();
    json_t *held_by = json_array();
    Status status = end_all(*prove, files, document, held_by);
    if ((*prove)->job.took) *(*prove)->job.took = (*prove)->took;
    if (json_array_size(held_by)) json_object_set(document, "held_by", held_by);
    json_decref(held_by);
    prove_abandon(prove);
    return status;
}
