/* corpus.c - how well the gates find what they are for: every defect at several strengths put into good clips (renders of the pocket model
 * and drawn ones), through H.264 and back; and how often they stop a good clip. Writes the table of TABLE.md.
 *
 *   corpus CLIPS_FOLDER [--clips N] [--first N] [--crf N] [--set NAME] [--table FILE]
 *
 * REELWRIGHT_LONG=1: a hundred clips that no bound was moved by, in ten minutes. --first chooses other clips: bounds are moved by what --first 0 shows, and TABLE.md is made with clips that no bound was moved by.
 *
 * Fails when less than 99 % are found at the strength that a viewer notices, or more than 1 % of the good clips are stopped. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/options.h"
#include "coordinator/campaign/gate_set.h"
#include "tests/gate/scene.h"
#include "worker/gate/gate.h"

enum { STRENGTHS = 3, MAX_CLIPS = 256, SOUND_RATE = 48000, LONG_CLIPS = 100, LONG_FIRST = 1000 };

typedef struct {
    Scene scene;
    const Scene *other; /* another clip */
    float *sound;       /* mono, as long as the clip */
    int samples;
    double promised_s;
    unsigned random;
} Case;

/* ---- defects ------------------------------------------------------------------------------------------------------------- */

static int frames_of(const Case *c, double seconds)
{
    const int n = (int)lround(seconds * c->scene.fps);
    return n < 1 ? 1 : n;
}

/* Somewhere inside, never at the border. */
static int somewhere(Case *c, int length)
{
    const int room = c->scene.count - length - 2;
    return 1 + (room > 0 ? (int)(scene_random(&c->random) % (unsigned)room) : 0);
}

static void fill(Scene *s, int i, int luma, int u, int v)
{
    memset(scene_plane(s, i, 0), luma, (size_t)s->width * (size_t)s->height);
    memset(scene_plane(s, i, 1), u, (size_t)s->width * (size_t)s->height / 4);
    memset(scene_plane(s, i, 2), v, (size_t)s->width * (size_t)s->height / 4);
}

static void put_black(Case *c, double seconds)
{
    const int n = frames_of(c, seconds), first = somewhere(c, n);
    for (int i = first; i < first + n; i++) fill(&c->scene, i, 16, 128, 128);
}

static void put_saturated(Case *c,
                          double seconds) /* what numbers that ran over look like: red, green, white by blocks */
{
    const int n = frames_of(c, seconds), first = somewhere(c, n);
    static const uint8_t luma[] = {63, 173, 235}, u[] = {102, 42, 128}, v[] = {240, 26, 128};
    for (int i = first; i < first + n; i++)
        for (int p = 0; p < 3; p++) {
            uint8_t *to = scene_plane(&c->scene, i, p);
            const int w = scene_plane_width(&c->scene, p), h = scene_plane_height(&c->scene, p);
            for (int y = 0; y < h; y++)
                for (int x = 0; x < w; x++) {
                    const int k = (x * 4 / w + y * 4 / h) % 3;
                    to[y * w + x] = p == 0 ? luma[k] : p == 1 ? u[k] : v[k];
                }
        }
}

static void put_frozen(Case *c, double seconds)
{
    const int n = frames_of(c, seconds), first = somewhere(c, n);
    for (int i = first; i < first + n; i++)
        memcpy(scene_plane(&c->scene, i, 0), scene_plane(&c->scene, first - 1, 0), scene_bytes(&c->scene));
}

static uint8_t level(double x) { return (uint8_t)(x < 16 ? 16 : x > 235 ? 235 : x + 0.5); }

static void add_light(Scene *s, int i, double gain, double offset)
{
    uint8_t *p = scene_plane(s, i, 0);
    for (int k = 0; k < s->width * s->height; k++) p[k] = level(16 + gain * (p[k] - 16) + offset);
}

/* Brightness that goes up and down by so many per cent, a third of the frame rate, at most 8 Hz, for 1.5 s. */
static void put_flicker(Case *c, double percent)
{
    const int n = frames_of(c, 1.5), first = somewhere(c, n);
    const double hz = fmin(8, c->scene.fps / 2.0);
    for (int i = first; i < first + n; i++)
        add_light(&c->scene, i, 1 + percent / 100 * (sin(2 * M_PI * hz * (i - first) / c->scene.fps + 1) > 0 ? 1 : -1),
                  0);
}

static void put_cut(Case *c, double share) /* to another clip, mixed in by this share */
{
    const int first = frames_of(c, 1) + somewhere(c, frames_of(c, 2)) / 2;
    Scene other = scene_scale(c->other, c->scene.width, c->scene.height);
    for (int i = first; i < c->scene.count; i++)
        for (size_t k = 0; k < scene_bytes(&c->scene); k++) {
            uint8_t *to = scene_plane(&c->scene, i, 0) + k;
            *to = (uint8_t)lround(*to * (1 - share) + share * scene_plane(&other, i % other.count, 0)[k]);
        }
    scene_free(&other);
}

/* Box filters three times: as good as a Gaussian of this many per cent of the longer side. */
static void blur_line(uint8_t *p, int n, int step, int radius, int *sums)
{
    for (int pass = 0; pass < 3; pass++) {
        sums[0] = 0;
        for (int i = 0; i < n; i++) sums[i + 1] = sums[i] + p[i * step];
        for (int i = 0; i < n; i++) {
            const int a = i - radius < 0 ? 0 : i - radius, b = i + radius >= n ? n - 1 : i + radius;
            p[i * step] = (uint8_t)((sums[b + 1] - sums[a] + (b - a + 1) / 2) / (b - a + 1));
        }
    }
}

static void blur(Scene *s, int i, double percent)
{
    const int longer = s->width > s->height ? s->width : s->height;
    const double sigma = percent / 100 * longer;
    int *sums = memory_get((size_t)longer + 1, sizeof *sums);
    for (int k = 0; k < 3; k++) {
        /* three boxes of width 2r+1 have a variance of r(r+1) */
        int radius = (int)lround((sqrt(1 + 4 * sigma * sigma / (k ? 4 : 1)) - 1) / 2);
        if (radius < 1 && k == 0) radius = 1;
        const int w = scene_plane_width(s, k), h = scene_plane_height(s, k);
        for (int y = 0; y < h; y++) blur_line(scene_plane(s, i, k) + (ptrdiff_t)y * w, w, 1, radius, sums);
        for (int x = 0; x < w; x++) blur_line(scene_plane(s, i, k) + x, h, w, radius, sums);
    }
    free(sums);
}

static void put_blur(Case *c, double percent)
{
    for (int i = 0; i < c->scene.count; i++) blur(&c->scene, i, percent);
}

static void put_blur_second(Case *c, double percent)
{
    const int n = frames_of(c, 1.2), first = somewhere(c, n);
    for (int i = first; i < first + n; i++) blur(&c->scene, i, percent);
}

/* Every block goes to its mean by this share. */
static void put_blocks(Case *c, double share)
{
    Scene *s = &c->scene;
    for (int i = 0; i < s->count; i++) {
        uint8_t *p = scene_plane(s, i, 0);
        for (int by = 0; by + 8 <= s->height; by += 8)
            for (int bx = 0; bx + 8 <= s->width; bx += 8) {
                int sum = 0;
                for (int k = 0; k < 64; k++) sum += p[(by + k / 8) * s->width + bx + k % 8];
                for (int k = 0; k < 64; k++) {
                    uint8_t *q = &p[(by + k / 8) * s->width + bx + k % 8];
                    *q = level(*q * (1 - share) + share * sum / 64.0);
                }
            }
    }
}

/* A smooth gradient instead of the upper half, in steps of so many levels. */
static void put_bands(Case *c, double step)
{
    Scene *s = &c->scene;
    for (int i = 0; i < s->count; i++)
        for (int y = 0; y < s->height / 2; y++)
            for (int x = 0; x < s->width; x++) {
                const double smooth = 60 + 45.0 * y / s->height + 15.0 * x / s->width;
                scene_plane(s, i, 0)[y * s->width + x] = level(floor(smooth / step) * step);
            }
}

/* Into another clip, for a second and a half: no cut, but another scene at its end. */
static void put_slide(Case *c, double share)
{
    const int n = frames_of(c, 1.5) < c->scene.count / 2 ? frames_of(c, 1.5) : c->scene.count / 2;
    const int first = (c->scene.count - n) / 2;
    Scene other = scene_scale(c->other, c->scene.width, c->scene.height);
    for (int i = first; i < c->scene.count; i++) {
        const double part = share * fmin(1, (double)(i - first) / n);
        uint8_t *to = scene_plane(&c->scene, i, 0);
        const uint8_t *from = scene_plane(&other, i % other.count, 0);
        for (size_t k = 0; k < scene_bytes(&c->scene); k++)
            to[k] = (uint8_t)lround(to[k] * (1 - part) + part * from[k]);
    }
    scene_free(&other);
}

static void flash(Case *c, double hz, int luma, int u, int v)
{
    Scene *s = &c->scene;
    for (int i = 0; i < s->count; i++)
        if (fmod((double)i / s->fps * hz, 1) >= 0.5) fill(s, i, luma, u, v);
}

static void put_flash(Case *c, double hz) { flash(c, hz, 235, 128, 128); }
static void put_red_flash(Case *c, double hz) { flash(c, hz, 63, 102, 240); }

static void put_over(Case *c, double gain)
{
    for (int i = 0; i < c->scene.count; i++) add_light(&c->scene, i, 1, gain);
}

static void put_under(Case *c, double gain)
{
    for (int i = 0; i < c->scene.count; i++) add_light(&c->scene, i, gain, 0);
}

static void put_short(Case *c, double seconds) { c->scene.count -= frames_of(c, seconds); }

static void put_gain(Case *c, double db)
{
    const float gain = powf(10, (float)db / 20);
    for (int i = 0; i < c->samples; i++) c->sound[i] = fmaxf(-1, fminf(1, c->sound[i] * gain));
}

static void put_silence(Case *c, double seconds)
{
    const int n = (int)(seconds * SOUND_RATE), first = c->samples / 4;
    for (int i = first; i < first + n && i < c->samples; i++) c->sound[i] = 0;
}

/* what it is called, which gates may find it, how it is made, three strengths with the unit, and from which of them a viewer (or listener)
 * notices: reasons in TABLE.md */
static const struct {
    const char *name, *unit, *gates;
    void (*put)(Case *, double);
    double strength[STRENGTHS];
    int noticed;
} defect[] = {
    {"black", "s", "black", put_black, {0.04, 0.25, 1.0}, 0},
    {"saturated", "s", "saturated", put_saturated, {0.04, 0.25, 1.0}, 1},
    {"frozen", "s", "frozen", put_frozen, {0.2, 0.5, 1.0}, 1},
    {"flicker", "% of brightness", "flicker flash", put_flicker, {1, 5, 12}, 1},
    {"cut to another clip", "mixed in", "jump", put_cut, {0.15, 0.5, 1.0}, 1},
    {"slides into another clip", "mixed in", "subject jump", put_slide, {0.3, 0.7, 1.0}, 2},
    {"blur", "% of the longer side", "blur", put_blur, {0.5, 2, 3.5}, 1},
    {"blur for 1.2 s", "% of the longer side", "blur_change blur", put_blur_second, {0.4, 2, 3.5}, 1},
    {"blocks of 8", "of their mean", "blockiness", put_blocks, {0.4, 0.8, 1.0}, 1},
    {"bands", "levels", "banding", put_bands, {1, 4, 8}, 1},
    {"flashes", "Hz", "flash", put_flash, {2, 3, 4}, 2},
    {"red flashes", "Hz", "red_flash", put_red_flash, {2, 3, 4}, 2},
    {"too bright", "levels", "exposure", put_over, {40, 110, 160}, 2},
    {"too dark", "times", "exposure black", put_under, {0.5, 0.05, 0.02}, 1},
    {"too short", "s", "length", put_short, {0.1, 0.3, 1}, 1},
    {"quieter", "dB", "loudness", put_gain, {-6, -20, -30}, 1},
    {"cut off (gain)", "dB", "clipping loudness", put_gain, {3, 14, 24}, 1},
    {"silence", "s", "silence", put_silence, {0.3, 1.0, 2.0}, 1},
};
enum { DEFECTS = (int)(sizeof defect / sizeof *defect) };

/* ---- good clips ------------------------------------------------------------------------------------------------------------ */

static float *make_sound(int samples, unsigned seed) /* a tune with noise, about -16 LUFS */
{
    float *x = memory_get((size_t)samples + 1, sizeof *x), low = 0;
    unsigned r = seed * 77 + 5;
    for (int i = 0; i < samples; i++) {
        const double t = (double)i / SOUND_RATE, note = 220 * pow(2, floor(fmod(t * 2 + seed, 8)) / 12);
        low = 0.9f * low + 0.1f * (scene_uniform(&r) - 0.5f);
        x[i] = (float)(0.22 * sin(2 * M_PI * note * t) * (0.6 + 0.4 * sin(t * 6))) + 0.3f * low;
    }
    return x;
}

/* Clip i: a drawn one and one of the pocket model in turn, in four sizes; of 64x112 as the model gives it, or enlarged as renditions are. */
static Status load(const char *folder, int i, int count, bool encoded, Scene *out)
{
    static const int size[][3] = {{270, 480, 30}, {480, 270, 25}, {240, 416, 16}, {360, 640, 24}};
    const int *s = size[i / 2 % 4];
    if (i % 2 == 0) {
        *out = scene_draw(i / 2 % SCENE_KINDS, (unsigned)(i + 1), s[0], s[1], s[2], 4 * s[2]);
        return status_ok();
    }
    char *path = text_format("%s/pocket-%d.mp4", folder, i / 2 % count);
    static const int enlarged[] = {1, 3, 5};
    /* as the model gives it, which nobody encodes, or enlarged as renditions are */
    const int times = i / 2 % 3 == 0 && encoded ? 4 : enlarged[i / 2 % 3];
    Status status = scene_read(path, 64 * times, 112 * times, 64, out);
    free(path);
    return status;
}

typedef struct {
    int clips, first, crf, pocket;
    const char *folder, *table, *only; /* only: one defect, and what was measured is printed */
    GateSet set;
    Scene scene[MAX_CLIPS];
    int alarms[GATE_COUNT], stopped;
    int found[DEFECTS][STRENGTHS];
    int unmeasured[DEFECTS][STRENGTHS]; /* clips that the defect's gate does not measure */
} Corpus;

static Case make_case(const Corpus *c, int clip)
{
    const Scene *s = &c->scene[clip];
    Case k = {.scene = scene_copy(s), .random = (unsigned)clip * 7919 + 13};
    k.other = &c->scene[(clip + 1) % c->clips];
    k.samples = (int)((int64_t)SOUND_RATE * s->count / s->fps);
    k.sound = make_sound(k.samples, (unsigned)clip);
    k.promised_s = (double)s->count / s->fps;
    return k;
}

static Status judge(const Corpus *c, Case *k, GateReport *out)
{
    Gate *g = gate_begin(&c->set, (GatePromise){.length_s = k->promised_s, .sound = true});
    Status status = c->crf >= 0 ? scene_recode(&k->scene, c->crf, "veryfast") : status_ok();
    for (int i = 0; i < k->scene.count && !failed(status); i++) {
        const FilmPicture p = scene_picture(&k->scene, i);
        status = gate_picture(g, &p);
    }
    if (!failed(status)) status = gate_sound(g, k->sound, k->samples, 1, SOUND_RATE);
    gate_end(&g, NULL, out);
    scene_free(&k->scene);
    free(k->sound);
    return status;
}

static bool is_unmeasured(const GateReport *r, const char *gate)
{
    for (int i = 0; i < GATE_COUNT; i++)
        if (strcmp(gate_name[i], gate) == 0) return isnan(r->gate[i].value);
    return false;
}

static bool is_found(const GateReport *r, const char *gates)
{
    for (int i = 0; i < GATE_COUNT; i++) {
        const char *at = strstr(gates, gate_name[i]);
        const size_t n = strlen(gate_name[i]);
        if (at && (at == gates || at[-1] == ' ') && (at[n] == 0 || at[n] == ' ') && r->gate[i].verdict != GATE_PASS)
            return true;
    }
    return false;
}

static void print_values(const GateReport *r, int clip, int d, int s)
{
    printf("clip %d, %s %g:", clip, defect[d].name, defect[d].strength[s]);
    for (int i = 0; i < GATE_COUNT; i++)
        if (strstr(defect[d].gates, gate_name[i])) printf(" %s %g", gate_name[i], r->gate[i].value);
    printf("\n");
}

static Status try_clip(Corpus *c, int clip)
{
    GateReport report;
    Case k = make_case(c, clip);
    TRY(judge(c, &k, &report));
    c->stopped += report.verdict != GATE_PASS;
    for (int i = 0; i < GATE_COUNT; i++) {
        if (report.gate[i].verdict == GATE_PASS) continue;
        c->alarms[i]++;
        printf("false alarm: clip %d (%dx%d, %d/s) %s = %g\n", clip, c->scene[clip].width, c->scene[clip].height,
               c->scene[clip].fps, gate_name[i], report.gate[i].value);
    }
    for (int d = 0; d < DEFECTS; d++)
        for (int s = 0; s < STRENGTHS; s++) {
            if (c->only && strcmp(c->only, defect[d].name) != 0) continue;
            k = make_case(c, clip);
            defect[d].put(&k, defect[d].strength[s]);
            TRY(judge(c, &k, &report));
            const bool found = is_found(&report, defect[d].gates);
            char first[32];
            snprintf(first, sizeof first, "%.*s", (int)strcspn(defect[d].gates, " "), defect[d].gates);
            if (c->only) print_values(&report, clip, d, s);
            if (!found && is_unmeasured(&report, first)) { /* a clip too small for this gate says nothing of it */
                c->unmeasured[d][s]++;
                continue;
            }
            c->found[d][s] += found;
            if (found || s < defect[d].noticed) continue;
            for (int i = 0; i < GATE_COUNT; i++)
                if (strcmp(gate_name[i], first) == 0)
                    printf("missed: clip %d (%dx%d, %d/s), %s %g %s: %s = %g\n", clip, c->scene[clip].width,
                           c->scene[clip].height, c->scene[clip].fps, defect[d].name, defect[d].strength[s],
                           defect[d].unit, first, report.gate[i].value);
        }
    return status_ok();
}

/* ---- the table --------------------------------------------------------------------------------------------------------------- */

static bool write_table(const Corpus *c, FILE *to)
{
    bool fine = true;
    fprintf(to, "| defect | unit | found at strength (of %d clips) | | | noticed from |\n|---|---|---|---|---|---|\n",
            c->clips);
    for (int d = 0; d < DEFECTS; d++) {
        fprintf(to, "| %s | %s |", defect[d].name, defect[d].unit);
        for (int s = 0; s < STRENGTHS; s++) {
            const int asked = c->clips - c->unmeasured[d][s];
            const double share = asked ? 100.0 * c->found[d][s] / asked : 100;
            fprintf(to, " %g: %.0f %% |", defect[d].strength[s], share);
            if (s >= defect[d].noticed && share < 99) fine = false;
        }
        fprintf(to, " %g |\n", defect[d].strength[defect[d].noticed]);
    }
    fprintf(to, "\nGood clips that a gate stopped: %d of %d", c->stopped, c->clips);
    for (int i = 0; i < GATE_COUNT; i++)
        if (c->alarms[i]) fprintf(to, "; %s %d", gate_name[i], c->alarms[i]);
    fprintf(to, ".\n");
    return fine && c->stopped * 100 <= c->clips;
}

static Status count_pocket(Corpus *c)
{
    for (c->pocket = 0;; c->pocket++) {
        char *path = text_format("%s/pocket-%d.mp4", c->folder, c->pocket);
        const bool there = file_exists(path);
        free(path);
        if (!there) break;
    }
    return c->pocket ? status_ok() : status_fail(ERR_INPUT, "%s: expected pocket-0.mp4, pocket-1.mp4 ...", c->folder);
}

static Status run(Corpus *c)
{
    Status status = status_ok();
    TRY(count_pocket(c));
    for (int i = 0; i < c->clips; i++) TRY(load(c->folder, c->first + i, c->pocket, c->crf >= 0, &c->scene[i]));
    for (int i = 0; i < c->clips && !failed(status); i++) status = try_clip(c, i);
    for (int i = 0; i < c->clips; i++) scene_free(&c->scene[i]);
    if (failed(status)) return status;
    FILE *f = c->table ? fopen(c->table, "w") : NULL;
    const bool fine = write_table(c, stdout);
    if (f) {
        write_table(c, f);
        fclose(f);
    }
    return fine ? status_ok() : status_fail(ERR_CLIP, "fewer than 99 %% found, or more than 1 %% false alarms");
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    Corpus *c = memory_get(1, sizeof *c);
    c->clips = 8;
    c->crf = -1;
    int first;
    const char *set = "default";
    const Option table[] = {
        {.name = "clips",
         .kind = OPTION_INT,
         .to = &c->clips,
         .value = "N",
         .min = 2,
         .max = MAX_CLIPS,
         .help = "good clips"},
        {.name = "first",
         .kind = OPTION_INT,
         .to = &c->first,
         .value = "N",
         .min = 0,
         .max = 1 << 20,
         .help = "number of the first good clip (0)"},
        {.name = "crf",
         .kind = OPTION_INT,
         .to = &c->crf,
         .value = "N",
         .min = 0,
         .max = 51,
         .help = "through x264 (not at all)"},
        {.name = "only",
         .kind = OPTION_TEXT,
         .to = &c->only,
         .value = "DEFECT",
         .help = "this one, with what is measured"},
        {.name = "set", .kind = OPTION_TEXT, .to = &set, .value = "NAME", .help = "of configs/gates.yaml"},
        {.name = "table", .kind = OPTION_TEXT, .to = &c->table, .value = "FILE", .help = "writes the table here too"},
    };
    const Usage usage = {.verb = "corpus",
                         .arguments = "CLIPS_FOLDER",
                         .about = "Finds defects in clips that have them.",
                         .option = table,
                         .option_count = (int)(sizeof table / sizeof *table),
                         .min_arguments = 1,
                         .max_arguments = 1};
    char *json = NULL;
    Status status = options_read(&usage, argc, argv, &first);
    if (getenv("REELWRIGHT_LONG")) c->clips = LONG_CLIPS, c->first = LONG_FIRST;
    if (!failed(status) && first > 0) {
        c->folder = argv[first];
        status = gate_set_json(gate_set_list(), set, &json);
        if (!failed(status)) status = gate_set_parse(json, &c->set);
        if (!failed(status)) status = run(c);
    }
    if (failed(status)) fprintf(stderr, "corpus: %s\n", status.message);
    free(json);
    free(c);
    return failed(status);
}
