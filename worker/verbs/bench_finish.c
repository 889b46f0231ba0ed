#include "bench_finish.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/options.h"
#include "common/plural.h"
#include "worker/finish/output.h"
#include "worker/finish/rates.h"
#include "worker/proof/prove.h"
#include "worker/proof/watermark.h"
#include "worker/verbs/bench.h"

/* Eight renditions as configs/renditions.yaml has them. */
static const char document[] =
    "{\"renditions\":["
    "{\"name\":\"reels\",\"width\":1080,\"height\":1920,\"crf\":17,\"preset\":\"veryfast\",\"max_kbps\":25000,\"fps\":"
    "30,\"min_fps\":23,\"max_fps\":60,\"sound\":\"always\"},"
    "{\"name\":\"tiktok\",\"width\":1080,\"height\":1920,\"crf\":17,\"preset\":\"veryfast\",\"max_kbps\":25000,\"fps\":"
    "30,\"min_fps\":23,\"max_fps\":60,\"sound\":\"always\",\"safe_bottom\":24.0},"
    "{\"name\":\"shorts\",\"width\":1080,\"height\":1920,\"crf\":17,\"preset\":\"veryfast\",\"max_kbps\":0},"
    "{\"name\":\"square\",\"width\":1080,\"height\":1080,\"crf\":18,\"preset\":\"veryfast\",\"max_kbps\":0,\"fit\":"
    "\"follow\"},"
    "{\"name\":\"web\",\"width\":1920,\"height\":1080,\"crf\":20,\"preset\":\"veryfast\",\"max_kbps\":8000,\"fit\":"
    "\"blur\"},"
    "{\"name\":\"preview\",\"width\":540,\"height\":960,\"crf\":26,\"preset\":\"veryfast\",\"max_kbps\":1500},"
    "{\"name\":\"poster\",\"width\":1080,\"height\":1920,\"crf\":18,\"preset\":\"veryfast\",\"max_kbps\":0,\"kind\":"
    "\"poster\"},"
    "{\"name\":\"gif\",\"width\":270,\"height\":480,\"crf\":18,\"preset\":\"veryfast\",\"max_kbps\":0,\"kind\":\"gif\","
    "\"max_mb\":1.0}],"
    "\"campaign\":\"bench\",\"watermark\":true,\"voice\":{\"text\":\"Hallo Anna, das Meer wartet auf "
    "dich!\",\"language\":\"de\"},\"subtitles\":\"both\",\"label\":{\"profile\":\"eu\"},"
    "\"overlays\":[{\"text\":\"F\\u00fcr Anna "
    "Sch\\u00e4fer\",\"place\":\"lower-third\"},{\"qr\":\"https://example.com/"
    "anna\",\"place\":\"centre\",\"from\":2}]}";

typedef struct {
    int width, height, frames, fps;
    FinishSpec spec;
    Extras extras;
    Rates *rates;
    Output *output[MAX_RENDITIONS];
    bool mark;
    ShotSpec shot;
    Prove *prove; /* NULL: without a watermark */
    int pictures[MAX_RENDITIONS];
    double prepare_s, rate_s, again_s, made_s[MAX_RENDITIONS]; /* of processor */
    double embed_s, read_s;                                    /* of the watermark; the first is in made_s, too */
    char folder[64];
} Bench;

/* Detail that moves, and a little noise, as renders have. */
static void paint(const Bench *b, int n, float *rgb)
{
    uint32_t x = (uint32_t)n * 977 + 1;
    for (int y = 0; y < b->height; y++)
        for (int i = 0; i < b->width; i++, rgb += 3) {
            double u = (i + 1.7 * n) * 0.06, v = (y - 1.1 * n) * 0.05;
            x = x * 1664525 + 1013904223;
            double noise = ((double)(x >> 20) / 4096 - 0.5) * 0.01;
            rgb[0] = (float)(0.5 + 0.3 * sin(u) * cos(v) + noise);
            rgb[1] = (float)(0.45 + 0.25 * sin(0.7 * u + v) + noise);
            rgb[2] = (float)(0.5 + 0.3 * cos(0.4 * u - 1.3 * v) + noise);
        }
}

static char *path_of(const Bench *b, int i)
{
    const Rendition *r = &b->spec.rendition[i];
    return text_format("%s/%s.%s", b->folder, r->name, finish_spec_ending(r));
}

static bool is_video(const Bench *b, int i) { return strcmp(finish_spec_ending(&b->spec.rendition[i]), "mp4") == 0; }

/* The watermark's key is made for this run, and goes with its folder. */
static Status begin_mark(Bench *b)
{
    if (!b->mark) return status_ok();
    char *secret = text_format("%s/key", b->folder);
    const ProveJob job = {.spec = &b->spec,
                          .shot = &b->shot,
                          .clip_id = "bench",
                          .secret_file = secret,
                          .duration_s = (double)b->frames / b->fps};
    Status status = prove_begin(&job, &b->prove);
    unlink(secret);
    free(secret);
    return status;
}

static Status prepare(Bench *b)
{
    bool skip[MAX_RENDITIONS] = {false};
    double start = bench_processor_s();
    TRY(finish_spec_read(document, "", &b->spec));
    TRY(begin_mark(b));
    TRY(extras_open(&b->spec, b->frames, b->fps, (ExtrasFolders){0}, &b->extras));
    for (int i = 0; i < b->spec.rendition_count; i++) {
        const OutputOrder order = {.rendition = &b->spec.rendition[i],
                                   .width = b->width,
                                   .height = b->height,
                                   .frames = b->frames,
                                   .fps = b->fps,
                                   .extras = &b->extras,
                                   .producer = "bench",
                                   .clip_id = "bench",
                                   .prove = b->prove,
                                   .number = i};
        char *path = path_of(b, i);
        Status status = output_begin(path, &order, &b->output[i]);
        free(path);
        TRY(status);
    }
    TRY(rates_open(b->spec.rendition, skip, b->spec.rendition_count, b->fps, "bench", &b->rates));
    b->prepare_s = bench_processor_s() - start;
    return status_ok();
}

static Status put_frame(Bench *b, const float *rgb, int count)
{
    double start = bench_processor_s();
    for (int i = 0; i < rates_count(b->rates); i++) TRY(rates_convert(b->rates, i, rgb, count, b->height, b->width));
    b->rate_s += bench_processor_s() - start;
    for (int i = 0; i < b->spec.rendition_count; i++) {
        int n;
        const float *frames = rates_frames(b->rates, i, &n);
        start = bench_processor_s();
        TRY(output_put(b->output[i], frames, n, b->height, b->width));
        b->pictures[i] += n;
        b->made_s[i] += bench_processor_s() - start;
    }
    return status_ok();
}

static Status make_all(Bench *b)
{
    float *rgb = malloc((size_t)b->width * (size_t)b->height * 3 * sizeof *rgb);
    if (!rgb) return status_fail(ERR_NODE, "out of memory for frames of %dx%d", b->width, b->height);
    Status status = prepare(b);
    for (int i = 0; i < b->frames && !failed(status); i++) {
        paint(b, i, rgb);
        status = put_frame(b, rgb, 1);
    }
    if (!failed(status)) status = put_frame(b, rgb, 0);
    for (int i = 0; i < b->spec.rendition_count && !failed(status); i++) {
        json_t *report = NULL;
        double start = bench_processor_s();
        status = output_end(&b->output[i], &report);
        b->made_s[i] += bench_processor_s() - start;
        json_decref(report);
    }
    free(rgb);
    return status;
}

/* How long the pictures of one rendition take to be marked: some of them, alone. What they show makes no difference. */
static Status time_embedding(Bench *b, int i)
{
    enum { PICTURES = 10 };
    static const uint8_t key[WATERMARK_KEY_BYTES] = {1};
    const Rendition *r = &b->spec.rendition[i];
    const bool video = is_video(b, i);
    const int width = r->width, height = r->height, bytes = video ? 1 : 3; /* luma alone, or RGB */
    Watermark *w = NULL;
    TRY(watermark_new(key, 1, width, height, &w));
    uint8_t *pixel = memory_get((size_t)width * (size_t)height, (size_t)bytes);
    for (int k = 0; k < width * height * bytes; k++) pixel[k] = (uint8_t)(100 + (k / bytes * 7 & 31));
    const double start = bench_processor_s();
    for (int k = 0; k < PICTURES; k++) {
        if (video)
            watermark_embed(w, pixel, width);
        else
            watermark_embed_rgb(w, pixel, width * bytes);
    }
    b->embed_s += (bench_processor_s() - start) / PICTURES * (strcmp(r->kind, "poster") == 0 ? 1 : b->pictures[i]);
    free(pixel);
    watermark_free(&w);
    return status_ok();
}

/* Reads the mark back from every file, as finishing does. */
static Status prove_all(Bench *b)
{
    char *path[MAX_RENDITIONS] = {NULL};
    ProveFiles files = {0};
    json_t *found = json_object();
    if (!b->prove) return json_decref(found), status_ok();
    for (int i = 0; i < b->spec.rendition_count; i++) {
        files.path[i] = path[i] = path_of(b, i);
        files.is_video[i] = is_video(b, i);
    }
    const double start = bench_processor_s();
    Status status = prove_end(&b->prove, &files, found);
    b->read_s = bench_processor_s() - start;
    for (int i = 0; i < b->spec.rendition_count && !failed(status); i++) status = time_embedding(b, i);
    const char *payload = json_string_value(json_object_get(found, "watermark"));
    if (!failed(status) && (!payload || strchr(payload, ' ')))
        status = status_fail(ERR_CLIP, "the watermark is %s", payload ? payload : "missing");
    for (int i = 0; i < b->spec.rendition_count; i++) free(path[i]);
    json_decref(found);
    return status;
}

/* The frame rates once more, as the next clip of the same shot has them. */
static Status convert_again(Bench *b)
{
    bool skip[MAX_RENDITIONS] = {false};
    float *rgb = memory_get((size_t)b->width * (size_t)b->height * 3, sizeof *rgb);
    const double start = bench_processor_s();
    rates_close(&b->rates);
    Status status = rates_open(b->spec.rendition, skip, b->spec.rendition_count, b->fps, "bench", &b->rates);
    for (int i = 0; i <= b->frames && !failed(status); i++)
        for (int k = 0; k < rates_count(b->rates) && !failed(status); k++)
            status = rates_convert(b->rates, k, rgb, i < b->frames, b->height, b->width);
    b->again_s = bench_processor_s() - start;
    free(rgb);
    return status;
}

static void clean_up(Bench *b)
{
    for (int i = 0; i < b->spec.rendition_count; i++) {
        char *path = path_of(b, i);
        output_abandon(&b->output[i]);
        unlink(path);
        free(path);
    }
    prove_abandon(&b->prove);
    rates_close(&b->rates);
    extras_close(&b->extras);
    finish_spec_clear(&b->spec);
    rmdir(b->folder);
}

static void tell(const Bench *b, bool as_json)
{
    double all = b->prepare_s + b->rate_s + b->read_s;
    for (int i = 0; i < b->spec.rendition_count; i++) all += b->made_s[i];
    if (!as_json) {
        printf("finish of %d frames of %dx%d at %d/s in %d rendition%s: %.2f s of one core\n", b->frames, b->width,
               b->height, b->fps, b->spec.rendition_count, plural_s(b->spec.rendition_count), all);
        printf("  %-22s %6.2f s\n  %-22s %6.2f s (%.2f s in the next clip of the same shot)\n", "voice, sound, layout",
               b->prepare_s, "frame rates", b->rate_s, b->again_s);
        for (int i = 0; i < b->spec.rendition_count; i++)
            printf("  %-22s %6.2f s\n", b->spec.rendition[i].name, b->made_s[i]);
        if (b->mark)
            printf("  %-22s %6.2f s: %.2f s to add it, within the renditions, %.2f s to read it back; %.1f %% of all\n",
                   "watermark", b->embed_s + b->read_s, b->embed_s, b->read_s, 100 * (b->embed_s + b->read_s) / all);
        return;
    }
    json_t *made = json_object(), *o;
    for (int i = 0; i < b->spec.rendition_count; i++)
        json_object_set_new(made, b->spec.rendition[i].name, json_real(b->made_s[i]));
    o = json_pack("{s:s,s:i,s:i,s:i,s:i,s:f,s:f,s:f,s:f,s:o}", "stage", "finish", "width", b->width, "height",
                  b->height, "frames", b->frames, "fps", b->fps, "core_seconds", all, "prepare_s", b->prepare_s,
                  "rate_s", b->rate_s, "rate_again_s", b->again_s, "renditions_s", made);
    if (b->mark) {
        json_object_set_new(o, "watermark_embed_s", json_real(b->embed_s));
        json_object_set_new(o, "watermark_read_s", json_real(b->read_s));
    }
    foreign_print_json(stdout, o, JSON_REAL_PRECISION(6));
    json_decref(o);
}

Status bench_finish(int argc, char **argv)
{
    Bench b = {.width = 480, .height = 832, .frames = 81, .fps = 16, .folder = "/tmp/reelwright-bench-XXXXXX"};
    const char *stage = "";
    bool as_json = false;
    int first;
    const Option option[] = {
        {"stage", OPTION_TEXT, &stage, .value = "finish", .help = "what to do"},
        {"width", OPTION_INT, &b.width, .value = "N", .min = 16, .max = 8192, .help = "of the shot (480)"},
        {"height", OPTION_INT, &b.height, .value = "N", .min = 16, .max = 8192, .help = "(832)"},
        {"frames", OPTION_INT, &b.frames, .value = "N", .min = 8, .max = 10000, .help = "(81)"},
        {"fps", OPTION_INT, &b.fps, .value = "N", .min = 1, .max = 240, .help = "(16)"},
        {"watermark", OPTION_FLAG, &b.mark, .help = "marked, and read back: its share"},
        {"json", OPTION_FLAG, &as_json, .help = "print one JSON object"}};
    const Usage usage = {.verb = "bench",
                         .arguments = "--stage finish [options]",
                         .about = "Finishes one clip in eight renditions with voice, texts, a code, subtitles and "
                                  "label: seconds of one core.",
                         .option = option,
                         .option_count = (int)(sizeof option / sizeof *option)};
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    if (!mkdtemp(b.folder)) return status_errno(ERR_NODE, "cannot make %s", b.folder);
    b.shot.fps = b.fps;
    Status status = make_all(&b);
    if (!failed(status)) status = prove_all(&b);
    if (!failed(status)) status = convert_again(&b);
    if (!failed(status)) tell(&b, as_json);
    clean_up(&b);
    return status;
}
