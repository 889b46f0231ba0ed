/* corpus.c - how well the gates find what they are for: every defect at several strengths put into good clips (renders of the pocket model
 * and drawn ones), through H.264 and back; and how often they stop a good clip. Writes the table of TABLE.md.
 *
 *   corpus CLIPS_FOLDER [--clips N] [--first N] [--crf N] [--set NAME] [--good] [--only DEFECT] [--counts FILE] [--table FILE]
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
#include "tests/gate/defects.h"
#include "worker/gate/gate.h"

enum { MAX_CLIPS = 1000, LONG_CLIPS = 100, LONG_FIRST = 40000 };

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
    bool good;                         /* no defects, only whether good clips pass */
    const char *folder, *table, *only; /* only: one defect, and what was measured is printed */
    const char *counts;                /* a file with the counts of earlier pieces */
    GateSet set;
    Scene scene, next; /* the clip, and the one after it */
} Corpus;

/* What all pieces of a run have counted together. */
typedef struct {
    int clips, tried; /* tried: with defects */
    int alarms[GATE_COUNT], stopped;
    int found[DEFECTS][STRENGTHS];
    int unmeasured[DEFECTS][STRENGTHS]; /* clips that the defect's gate does not measure */
} Counts;

static Case make_case(const Corpus *c, int clip)
{
    const Scene *s = &c->scene;
    Case k = {.scene = scene_copy(s), .other = &c->next, .random = (unsigned)clip * 7919 + 13};
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

/* gates: names with a space between. */
static bool is_found(const GateReport *r, const char *gates)
{
    while (*gates) {
        const size_t n = strcspn(gates, " ");
        for (int i = 0; i < GATE_COUNT; i++)
            if (strlen(gate_name[i]) == n && strncmp(gates, gate_name[i], n) == 0 && r->gate[i].verdict != GATE_PASS)
                return true;
        gates += n + strspn(gates + n, " ");
    }
    return false;
}

/* gates: only these, or NULL. */
static void print_values(const GateReport *r, int clip, const char *name, double strength, const char *gates)
{
    printf("clip %d, %s %g:", clip, name, strength);
    for (int i = 0; i < GATE_COUNT; i++)
        if (!gates || strstr(gates, gate_name[i])) printf(" %s %.4g", gate_name[i], r->gate[i].value);
    printf("\n");
}

static void count_alarms(const Corpus *c, int clip, const GateReport *r, Counts *to)
{
    to->clips++;
    to->stopped += r->verdict != GATE_PASS;
    for (int i = 0; i < GATE_COUNT; i++) {
        if (r->gate[i].verdict == GATE_PASS) continue;
        to->alarms[i]++;
        printf("false alarm: clip %d (%dx%d, %d/s) %s = %g\n", clip, c->scene.width, c->scene.height, c->scene.fps,
               gate_name[i], r->gate[i].value);
    }
}

static void count_found(const Corpus *c, int clip, const GateReport *r, int d, int s, Counts *to)
{
    char first[32];
    snprintf(first, sizeof first, "%.*s", (int)strcspn(defect[d].gates, " "), defect[d].gates);
    const bool found = is_found(r, defect[d].gates);
    if (c->only) print_values(r, clip, defect[d].name, defect[d].strength[s], defect[d].gates);
    if (!found && is_unmeasured(r, first)) { /* a clip too small for this gate says nothing of it */
        to->unmeasured[d][s]++;
        if (s >= defect[d].noticed) printf("unmeasured: clip %d, %s\n", clip, defect[d].name);
        return;
    }
    to->found[d][s] += found;
    if (found || s < defect[d].noticed) return;
    printf("missed: clip %d (%dx%d, %d/s), %s %g %s: %s = %g\n", clip, c->scene.width, c->scene.height, c->scene.fps,
           defect[d].name, defect[d].strength[s], defect[d].unit, first, r->gate[gate_find(first)].value);
}

static Status try_clip(const Corpus *c, int clip, Counts *to)
{
    GateReport report;
    Case k = make_case(c, clip);
    TRY(judge(c, &k, &report));
    count_alarms(c, clip, &report, to);
    if (c->only || c->good) print_values(&report, clip, "good", 0, NULL);
    if (c->good) return status_ok();
    to->tried++;
    for (int d = 0; d < DEFECTS; d++)
        for (int s = 0; s < STRENGTHS; s++) {
            if (c->only && strcmp(c->only, defect[d].name) != 0) continue;
            k = make_case(c, clip);
            defect[d].put(&k, defect[d].strength[s]);
            TRY(judge(c, &k, &report));
            count_found(c, clip, &report, d, s, to);
        }
    return status_ok();
}

/* ---- the table --------------------------------------------------------------------------------------------------------------- */

static bool write_table(const Counts *c, FILE *to)
{
    bool fine = true;
    fprintf(to,
            "| defect | unit | found at strength (of %d clips) | | | noticed from | clips that have nothing to measure "
            "|\n|---|---|---|---|---|---|---|\n",
            c->tried);
    for (int d = 0; d < DEFECTS && c->tried; d++) {
        fprintf(to, "| %s | %s |", defect[d].name, defect[d].unit);
        for (int s = 0; s < STRENGTHS; s++) {
            const int asked = c->tried - c->unmeasured[d][s];
            const double share = asked ? 100.0 * c->found[d][s] / asked : 100;
            fprintf(to, " %g: %.0f %% |", defect[d].strength[s], share);
            if (s >= defect[d].noticed && share < 99) fine = false;
        }
        fprintf(to, " %g |", defect[d].strength[defect[d].noticed]);
        const int silent = c->unmeasured[d][defect[d].noticed];
        fprintf(to, " %d |\n", silent);
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

/* Numbers, in the order in which they stand in Counts: what this program wrote. */
static Status add_counts(const char *path, Counts *to)
{
    int *number = (int *)to;
    FILE *f = fopen(path, "r");
    if (!f) return status_ok(); /* the first piece */
    for (size_t i = 0; i < sizeof *to / sizeof *number; i++) {
        int more;
        if (fscanf(f, "%d", &more) != 1) {
            fclose(f);
            return status_fail(ERR_INPUT, "%s: not the counts of such a run", path);
        }
        number[i] += more;
    }
    fclose(f);
    return status_ok();
}

static Status write_counts(const char *path, const Counts *from)
{
    const int *number = (const int *)from;
    FILE *f = fopen(path, "w");
    if (!f) return status_fail(ERR_NODE, "cannot write %s", path);
    for (size_t i = 0; i < sizeof *from / sizeof *number; i++) fprintf(f, "%d\n", number[i]);
    return fclose(f) == 0 ? status_ok() : status_fail(ERR_NODE, "cannot write %s", path);
}

static Status try_all(Corpus *c, Counts *to)
{
    Status status = load(c->folder, c->first, c->pocket, c->crf >= 0, &c->scene);
    for (int i = c->first; i < c->first + c->clips && !failed(status); i++) {
        status = load(c->folder, i + 1, c->pocket, c->crf >= 0, &c->next);
        if (!failed(status)) status = try_clip(c, i, to);
        scene_free(&c->scene);
        c->scene = c->next;
        c->next = (Scene){0};
    }
    scene_free(&c->scene);
    return status;
}

static Status run(Corpus *c)
{
    Counts counts = {0};
    TRY(count_pocket(c));
    TRY(try_all(c, &counts));
    if (c->counts) {
        TRY(add_counts(c->counts, &counts));
        TRY(write_counts(c->counts, &counts));
    }
    FILE *f = c->table ? fopen(c->table, "w") : NULL;
    const bool fine = write_table(&counts, stdout);
    if (f) {
        write_table(&counts, f);
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
        {"clips", OPTION_INT, &c->clips, .value = "N", .min = 1, .max = MAX_CLIPS, .help = "good clips"},
        {"first", OPTION_INT, &c->first, .value = "N", .min = 0, .max = 1 << 20,
         .help = "number of the first good clip (0)"},
        {"crf", OPTION_INT, &c->crf, .value = "N", .min = 0, .max = 51, .help = "through x264 (not at all)"},
        {"only", OPTION_TEXT, &c->only, .value = "DEFECT", .help = "this one, with what is measured"},
        {"good", OPTION_FLAG, &c->good, .help = "no defects: only whether good clips pass"},
        {"counts", OPTION_TEXT, &c->counts, .value = "FILE",
         .help = "adds what FILE counts, and writes it: a run in pieces"},
        {"set", OPTION_TEXT, &set, .value = "NAME", .help = "of configs/gates.yaml"},
        {"table", OPTION_TEXT, &c->table, .value = "FILE", .help = "writes the table here too"},
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
