/* bench_watermark.c - does the watermark stay, and is it seen: marked clips through attacks, unmarked ones and wrong keys against chance. Writes the
 * tables of WATERMARK.md.
 *
 *   bench_watermark CLIPS_FOLDER [--clips N] [--first I] [--still poster|png|gif] [--size WxH]... [--pictures N] [--from N] [--trials N] [--keys N] [--counts FILE] [--table FILE]
 *
 * CLIPS_FOLDER has pocket-0.mp4, pocket-1.mp4 ...; every second clip is one of these, enlarged, and the others are drawn. The sizes take turns.
 * --still marks one picture of each (of a GIF: every eighth), and makes that file. A long run goes in pieces: --counts adds to what FILE holds, a line for each clip and attack. Fails when an attack that shall be survived loses the mark in more than 5 % of the clips, when PSNR is below 42 dB, or when anything is
 * found where nothing is. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libswscale/swscale.h>

#include "common/file.h"
#include "common/moment.h"
#include "common/options.h"
#include "common/order.h"
#include "tests/gate/scene.h"
#include "tests/proof/watermark_attacks.h"
#include "worker/finish/gif.h"
#include "worker/finish/poster.h"
#include "worker/finish/stills.h"
#include "worker/pictures/pixels.h"
#include "worker/proof/watermark.h"

#define STILL_WORDS "none|poster|png|gif"
enum { STILL_NONE, STILL_POSTER, STILL_PNG, STILL_GIF };

typedef struct {
    int clips, first, pictures, from, trials, found_nothing, tried_nothing;
    OptionTexts size;
    const char *folder, *table, *counts;
    int still;
    const Attack *attack; /* of clips or of stills */
    int attacks;
    double embed_s, embedded_pictures, read_s, read_pictures;
    FILE *to;                 /* a line for each clip and attack */
    double highest_z, places; /* of what is not there */
    bool promised;            /* only attacks that shall be survived */
    int keys;                 /* to try on each unmarked clip, at one place */
    double tried, above[4];   /* trials; those above 3, 4, 5 and 6 sigma */
    double highest_chance;
} Bench;

static const uint8_t key[WATERMARK_KEY_BYTES] = "the bench's own key, 32 bytes.";

/* ---- one clip ------------------------------------------------------------------------------------------------------------------ */

/* Each clip's own: how it is drawn, or which render. */
static Status load(const Bench *b, int i, Scene *out)
{
    int width, height;
    const char *size = b->size.text[i / 2 % b->size.count];
    if (sscanf(size, "%dx%d", &width, &height) != 2 || width < 64 || height < 64 || width % 2 || height % 2)
        return status_fail(ERR_INPUT, "--size %s: expected WxH, both even", size);
    if (i % 2 == 0) {
        *out = scene_draw(i / 2 % SCENE_KINDS, (unsigned)(1000 + i), width, height, 24, b->pictures);
        return status_ok();
    }
    char *path = text_format("%s/pocket-%d.mp4", b->folder, i / 2);
    Status status = file_exists(path) ? scene_read(path, width, height, b->pictures, out)
                                      : status_fail(ERR_INPUT, "%s: no such file: more clips than renders", path);
    free(path);
    out->fps = 24;
    return status;
}

static double psnr(const Scene *a, const Scene *b)
{
    double squares = 0;
    for (int i = 0; i < a->count; i++)
        for (int k = 0; k < a->width * a->height; k++) {
            const double d = scene_plane(a, i, 0)[k] - scene_plane(b, i, 0)[k];
            squares += d * d;
        }
    return 10 * log10(255.0 * 255 * a->count * a->width * a->height / squares);
}

/* Mean SSIM over 8x8 blocks of luma, every fourth block. */
static double ssim(const Scene *a, const Scene *b)
{
    double total = 0, count = 0;
    for (int i = 0; i < a->count; i += 4)
        for (int by = 0; by + 8 <= a->height; by += 16)
            for (int bx = 0; bx + 8 <= a->width; bx += 16, count++) {
                double sx = 0, sy = 0, xx = 0, yy = 0, xy = 0;
                for (int k = 0; k < 64; k++) {
                    const int at = (by + k / 8) * a->width + bx + k % 8;
                    const double x = scene_plane(a, i, 0)[at], y = scene_plane(b, i, 0)[at];
                    sx += x;
                    sy += y;
                    xx += x * x;
                    yy += y * y;
                    xy += x * y;
                }
                const double c1 = 6.5025, c2 = 58.5225, mx = sx / 64, my = sy / 64;
                total += (2 * mx * my + c1) * (2 * (xy / 64 - mx * my) + c2) /
                         ((mx * mx + my * my + c1) * (xx / 64 - mx * mx + yy / 64 - my * my + c2));
            }
    return total / count;
}

static Status still_frame(const Scene *s, int picture, AVFrame **out)
{
    TRY(pixels_frame(s->width, s->height, AV_PIX_FMT_RGB24, out));
    struct SwsContext *c = sws_getContext(s->width, s->height, AV_PIX_FMT_YUV420P, s->width, s->height,
                                          AV_PIX_FMT_RGB24, SWS_BICUBIC | SWS_ACCURATE_RND, NULL, NULL, NULL);
    if (!c) return status_fail(ERR_NODE, "out of memory");
    const uint8_t *plane[3];
    int stride[3];
    for (int i = 0; i < 3; i++) {
        plane[i] = scene_plane(s, picture, i);
        stride[i] = scene_plane_width(s, i);
    }
    const int *bt709 = sws_getCoefficients(SWS_CS_ITU709);
    sws_setColorspaceDetails(c, bt709, 0, bt709, 1, 0, 1 << 16, 1 << 16);
    sws_scale(c, plane, stride, 0, s->height, (*out)->data, (*out)->linesize);
    sws_freeContext(c);
    return status_ok();
}

/* BT.709, of full range. */
static void take_luma(const AVFrame *f, Scene *to, int picture)
{
    for (int y = 0; y < f->height; y++)
        for (int x = 0; x < f->width; x++) {
            const uint8_t *p = f->data[0] + (ptrdiff_t)y * f->linesize[0] + 3 * (ptrdiff_t)x;
            scene_plane(to, picture, 0)[y * f->width + x] =
                (uint8_t)lround(0.2126 * p[0] + 0.7152 * p[1] + 0.0722 * p[2]);
        }
}

static WatermarkReading read_scene(Bench *b, const Scene *s, const uint8_t *with)
{
    WatermarkReader *r = watermark_reader_new(with);
    WatermarkReading out;
    const double start = moment_s();
    for (int i = 0; i < s->count; i++) {
        const FilmPicture p = scene_picture(s, i);
        watermark_reader_picture(r, &p);
    }
    b->read_s += moment_s() - start;
    b->read_pictures += s->count;
    watermark_reader_search(r, &out);
    watermark_reader_free(&r);
    return out;
}

static Status mark(Bench *b, Scene *s, uint64_t payload, double *db, double *similar)
{
    Watermark *w;
    Scene plain = scene_copy(s);
    TRY(watermark_new(key, payload, s->width, s->height, &w));
    const double start = moment_s();
    for (int i = 0; i < s->count; i++) watermark_embed(w, scene_plane(s, i, 0), s->width);
    b->embed_s += moment_s() - start;
    b->embedded_pictures += s->count;
    watermark_free(&w);
    *db = psnr(&plain, s);
    *similar = ssim(&plain, s);
    scene_free(&plain);
    return scene_recode(s, 18, "veryfast");
}

/* One picture as finishing makes it: a poster, a thumbnail or a GIF, through its file. */
static Status mark_still(Bench *b, Scene *s, uint64_t payload, double *db, double *similar)
{
    enum { EVERY = 8 };
    Watermark *w;
    char name[] = "watermark-still-XXXXXX";
    const bool gif = b->still == STILL_GIF;
    const int count = gif ? (s->count + EVERY - 1) / EVERY : 1;
    AVFrame **frame = memory_get((size_t)count, sizeof(AVFrame *));
    Scene before = scene_new(s->width, s->height, s->fps, count), after = scene_copy(&before);
    TRY(watermark_new(key, payload, s->width, s->height, &w));
    for (int i = 0; i < count; i++) {
        TRY(still_frame(s, gif ? i * EVERY : s->count / 2, &frame[i]));
        take_luma(frame[i], &before, i);
        watermark_embed_rgb(w, frame[i]->data[0], frame[i]->linesize[0]);
        take_luma(frame[i], &after, i);
    }
    watermark_free(&w);
    *db = psnr(&before, &after);
    *similar = ssim(&before, &after);
    const int file = mkstemp(name);
    if (file < 0) return status_errno(ERR_NODE, "%s", name);
    close(file);
    int64_t bytes;
    Status status = gif                        ? gif_write(name, frame, count, s->fps / EVERY, 0, &bytes)
                    : b->still == STILL_POSTER ? poster_write(name, frame[0])
                                               : stills_write_png(frame[0], name);
    scene_free(s);
    if (!failed(status)) status = scene_read(name, 0, 0, count, s);
    unlink(name);
    for (int i = 0; i < count; i++) av_frame_free(&frame[i]);
    free(frame);
    scene_free(&before);
    scene_free(&after);
    return status;
}

static void look_for_nothing(Bench *b, const Scene *s)
{
    for (int i = 0; i < b->trials; i++) {
        uint8_t other[WATERMARK_KEY_BYTES] = {0};
        snprintf((char *)other, sizeof other, "wrong %d %d", i, b->tried_nothing);
        const WatermarkReading r = read_scene(b, s, other);
        b->tried_nothing++;
        b->found_nothing += r.found;
        b->highest_z = fmax(b->highest_z, r.z);
        b->places += r.places;
    }
}

/* Random signs, as a key draws them, against what is in the clip: how often chance looks like a pilot. */
static void try_keys(Bench *b, const Scene *s, uint64_t random)
{
    static const double limit[] = {3, 4, 5, 6};
    float *value = memory_get(WATERMARK_CELLS, sizeof *value);
    WatermarkReader *r = watermark_reader_new(key);
    for (int i = 0; i < s->count; i++) {
        const FilmPicture p = scene_picture(s, i);
        if (failed(watermark_reader_picture(r, &p))) abort();
    }
    const int n = watermark_reader_cells(r, value);
    for (int k = 0; k < b->keys; k++) {
        double sum = 0, squares = 0;
        uint64_t bits = 0;
        for (int i = 0; i < n; i++) {
            if (i % 16 == 0) { /* xorshift64*, four bits a cell */
                random ^= random >> 12;
                random ^= random << 25;
                random ^= random >> 27;
                bits = random * 0x2545f4914f6cdd1du;
            }
            const unsigned cell = (unsigned)(bits >> 4 * (i % 16)) & 15;
            if (cell & 3) continue; /* a quarter is the pilot */
            sum += cell & 4 ? (double)value[i] : -(double)value[i];
            squares += (double)value[i] * value[i];
        }
        const double z = squares > 0 ? sum / sqrt(squares) : 0;
        for (int l = 0; l < 4; l++) b->above[l] += z > limit[l];
        b->highest_chance = fmax(b->highest_chance, z);
        b->tried++;
    }
    watermark_reader_free(&r);
    free(value);
}

/* ---- the table ------------------------------------------------------------------------------------------------------------------- */

typedef struct { /* one clip after one attack, as a line of the counts */
    int clip, width, height, attack, found;
    double z, p_value, psnr, ssim;
} Reading;

typedef struct {
    Reading *reading;
    int count, room;
} Readings;

static Status read_counts(const char *path, int most, Readings *all)
{
    char line[256];
    FILE *f = fopen(path, "r");
    if (!f) return status_errno(ERR_INPUT, "%s", path);
    while (fgets(line, sizeof line, f)) {
        Reading r;
        if (sscanf(line, "%d %dx%d %d %d %lf %lg %lf %lf", &r.clip, &r.width, &r.height, &r.attack, &r.found, &r.z,
                   &r.p_value, &r.psnr, &r.ssim) != 9 ||
            r.attack < 0 || r.attack >= most)
            break;
        if (all->count == all->room) {
            all->room = 2 * all->room + 64;
            all->reading = memory_resize(all->reading, (size_t)all->room, sizeof *all->reading);
        }
        all->reading[all->count++] = r;
    }
    const bool whole = feof(f);
    fclose(f);
    return whole ? status_ok() : status_fail(ERR_INPUT, "%s: line %d is no count of this bench", path, all->count + 1);
}

/* What survives of all clips at least, with 95 % confidence: the one-sided bound of Clopper and Pearson, where so many of so few have a chance of 5 %. */
static double bound(int found, int of)
{
    double low = 0, high = found / (double)of;
    for (int step = 0; step < 60 && found; step++) {
        const double p = (low + high) / 2;
        double chance = 0;
        for (int k = found; k <= of; k++)
            chance += exp(lgamma(of + 1) - lgamma(k + 1) - lgamma(of - k + 1) + k * log(p) +
                          (of - k ? (of - k) * log1p(-p) : 0));
        *(chance < 0.05 ? &low : &high) = p;
    }
    return low;
}

/* value[count] is put in order. */
static double median(double *value, int count)
{
    qsort(value, (size_t)count, sizeof *value, order_doubles);
    return count % 2 ? value[count / 2] : (value[count / 2 - 1] + value[count / 2]) / 2;
}

static bool write_attack(const Bench *b, const Readings *all, int which, double *value, FILE *to)
{
    int n = 0, found = 0;
    double worst_p = 0;
    for (int i = 0; i < all->count; i++) {
        const Reading *r = &all->reading[i];
        if (r->attack != which) continue;
        value[n++] = r->z;
        found += r->found;
        if (r->found) worst_p = fmax(worst_p, r->p_value);
    }
    if (!n) return true;
    const double middle = median(value, n);
    fprintf(to, "| %s | %d of %d | %.1f %% | %.1f, %.1f | %.0e | %s |\n", b->attack[which].name, found, n,
            100 * bound(found, n), value[0], middle, worst_p, b->attack[which].survives ? "yes" : "no promise");
    return !b->attack[which].survives || found >= 0.95 * n;
}

static bool write_quality(const Readings *all, double *value, FILE *to)
{
    int n = 0, k = 0;
    double least_ssim = 1, least_psnr;
    for (int i = 0; i < all->count; i++)
        if (all->reading[i].attack == 0) {
            value[n++] = all->reading[i].psnr;
            least_ssim = fmin(least_ssim, all->reading[i].ssim);
        }
    if (!n) return true; /* --from: not looked at */
    const double middle = median(value, n);
    least_psnr = value[0];
    for (int i = 0; i < all->count; i++)
        if (all->reading[i].attack == 0) value[k++] = all->reading[i].ssim;
    fprintf(to, "\nPSNR of luma: least %.2f dB, median %.2f; SSIM: least %.4f, median %.4f.\n", least_psnr, middle,
            least_ssim, median(value, n));
    return least_psnr >= 42;
}

static bool write_chance(const Bench *b, FILE *to)
{
    if (b->tried_nothing)
        fprintf(to,
                "Unmarked, or with another key: found %d of %d, in %.1e places; highest pilot %.2f sigma (found from "
                "%.1f, with the check).\n",
                b->found_nothing, b->tried_nothing, b->places, b->highest_z, WATERMARK_LEAST_Z);
    if (b->tried > 0)
        fprintf(to,
                "%.0e random keys on unmarked clips, at one place each: %.0f above 3 sigma (%.0f by the normal law), "
                "%.0f above 4 (%.0f), %.0f above "
                "5 (%.1f), %.0f above 6 (%.3f); highest %.2f.\n",
                b->tried, b->above[0], b->tried * erfc(3 / sqrt(2)) / 2, b->above[1], b->tried * erfc(4 / sqrt(2)) / 2,
                b->above[2], b->tried * erfc(5 / sqrt(2)) / 2, b->above[3], b->tried * erfc(6 / sqrt(2)) / 2,
                b->highest_chance);
    return !b->found_nothing && b->above[3] == 0;
}

static bool write_table(const Bench *b, const Readings *all, FILE *to)
{
    double *value = memory_get((size_t)all->count, sizeof *value);
    fprintf(to, "| after | read back | at least (95 %%) | pilot, least and median (sigma) | worst p | shall "
                "|\n|---|---|---|---|---|---|\n");
    bool fine = true;
    for (int k = 0; k < b->attacks; k++) fine = write_attack(b, all, k, value, to) && fine;
    fine = write_quality(all, value, to) && fine;
    fine = write_chance(b, to) && fine;
    if (b->embedded_pictures > 0)
        fprintf(to, "Time a picture: %.2f ms to embed, %.2f ms to add up for reading.\n",
                1000 * b->embed_s / b->embedded_pictures, 1000 * b->read_s / b->read_pictures);
    free(value);
    return fine;
}

static Status attack_clip(Bench *b, int i, const Scene *marked, uint64_t payload, double db, double similar)
{
    for (int k = b->from; k < b->attacks; k++) {
        const Attack *a = &b->attack[k];
        if (b->promised && !a->survives) continue;
        Scene hit = scene_copy(marked);
        TRY(a->attack(&hit));
        const WatermarkReading r = read_scene(b, &hit, key);
        const bool found = r.found && r.payload == payload;
        if (r.found && !found) printf("WRONG payload: clip %d, %s\n", i, a->name);
        if (!found && a->survives)
            printf("lost: clip %d, %dx%d, %s: z %.2f, grid %d scale %.4f at %.1f,%.1f, %d bits right\n", i,
                   marked->width, marked->height, a->name, r.z, r.cells, r.scale, r.x, r.y,
                   64 - __builtin_popcountll(r.payload ^ payload));
        fprintf(b->to, "%d %dx%d %d %d %.3f %.3g %.4f %.5f\n", i, marked->width, marked->height, k, found, r.z,
                r.p_value, db, similar);
        fflush(b->to);
        scene_free(&hit);
    }
    return status_ok();
}

static Status run_clip(Bench *b, int i)
{
    Scene s;
    double db, similar;
    char name[16];
    snprintf(name, sizeof name, "clip %d", i);
    const uint64_t payload = watermark_payload("bench", name);
    TRY(load(b, i, &s));
    look_for_nothing(b, &s);
    if (b->keys) try_keys(b, &s, 0x9e3779b97f4a7c15u + (uint64_t)i);
    Status status = b->still ? mark_still(b, &s, payload, &db, &similar) : mark(b, &s, payload, &db, &similar);
    if (!failed(status)) status = attack_clip(b, i, &s, payload, db, similar);
    scene_free(&s);
    return status;
}

static Status run(Bench *b)
{
    Readings all = {0};
    bool fine = true;
    char scratch[] = "watermark-counts-XXXXXX";
    const int of_its_own = b->counts ? -1 : mkstemp(scratch);
    const char *counts = b->counts ? b->counts : scratch;
    b->to = b->counts ? fopen(counts, "a") : fdopen(of_its_own, "w");
    if (!b->to) return status_errno(ERR_INPUT, "%s", counts);
    Status status = status_ok();
    for (int i = b->first; i < b->first + b->clips && !failed(status); i++) status = run_clip(b, i);
    fclose(b->to);
    if (!failed(status)) status = read_counts(counts, b->attacks, &all);
    if (!b->counts) unlink(scratch);
    if (!failed(status)) fine = write_table(b, &all, stdout);
    FILE *f = b->table && !failed(status) ? fopen(b->table, "w") : NULL;
    if (f) {
        write_table(b, &all, f);
        fclose(f);
    }
    free(all.reading);
    if (failed(status) || fine) return status;
    return status_fail(ERR_CLIP, "the watermark does not keep what it promises");
}

int main(int argc, char **argv)
{
    Bench b = {.clips = 2, .pictures = 24, .trials = 1};
    int first;
    const Option table[] = {
        {"clips", OPTION_INT, &b.clips, .value = "N", .min = 0, .max = 600,
         .help = "how many (2); 0: the table of the counts alone"},
        {"first", OPTION_INT, &b.first, .value = "I", .min = 0, .max = 100000, .help = "its number (0)"},
        {"size", OPTION_TEXTS, &b.size, .value = "WxH", .help = "of the clips, in turn (540x960)"},
        {"pictures", OPTION_INT, &b.pictures, .value = "N", .min = 8, .max = 1000, .help = "of each clip (24)"},
        {"promised", OPTION_FLAG, &b.promised, .help = "only the attacks that shall be survived"},
        {"still", OPTION_CHOICE, &b.still, .value = STILL_WORDS, .help = "one picture of each clip (none: all)"},
        {"from", OPTION_INT, &b.from, .value = "N", .min = 0, .max = 100, .help = "the first attack to try (0: all)"},
        {"trials", OPTION_INT, &b.trials, .value = "N", .min = 0, .max = 1000000,
         .help = "keys of others, on each clip (1)"},
        {"keys", OPTION_INT, &b.keys, .value = "N", .min = 0, .max = 10000000,
         .help = "random keys at one place of each unmarked clip"},
        {"counts", OPTION_TEXT, &b.counts, .value = "FILE", .help = "adds to them; the table is of all in it"},
        {"table", OPTION_TEXT, &b.table, .value = "FILE", .help = "writes the table here too"},
    };
    const Usage usage = {.verb = "bench_watermark",
                         .arguments = "CLIPS_FOLDER",
                         .about = "Marks clips, attacks them, and looks for the mark.",
                         .option = table,
                         .option_count = (int)(sizeof table / sizeof *table),
                         .min_arguments = 1,
                         .max_arguments = 1};
    setvbuf(stdout, NULL, _IOLBF, 0);
    Status status = options_read(&usage, argc, argv, &first);
    if (!failed(status) && first > 0) {
        b.folder = argv[first];
        b.attack = b.still ? watermark_still_attack : watermark_attack;
        b.attacks = !b.still               ? watermark_attacks
                    : b.still == STILL_GIF ? 1 /* the others are done to one picture */
                                           : watermark_still_attacks;
        if (!b.size.count) b.size.text[b.size.count++] = "540x960";
        status = run(&b);
    }
    if (failed(status)) fprintf(stderr, "bench_watermark: %s\n", status.message);
    return failed(status);
}
