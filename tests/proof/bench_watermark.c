/* bench_watermark.c - does the watermark stay, and is it seen: marked clips through attacks, unmarked ones and wrong keys against chance. Writes the
 * tables of WATERMARK.md.
 *
 *   bench_watermark CLIPS_FOLDER [--clips N] [--width W --height H] [--pictures N] [--trials N] [--keys N] [--table FILE]
 *
 * Fails when an attack that shall be survived loses the mark in more than 5 % of the clips, when PSNR is below 42 dB, or when anything is
 * found where nothing is. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/moment.h"
#include "common/options.h"
#include "tests/gate/scene.h"
#include "worker/proof/watermark.h"

typedef struct {
    int clips, width, height, pictures, trials, found_nothing, tried_nothing;
    const char *folder, *table;
    double embed_s, embedded_pictures, read_s, read_pictures;
    double psnr_least, psnr_sum, ssim_least, ssim_sum;
    double highest_z, places; /* of what is not there */
    bool promised;            /* only attacks that shall be survived */
    int keys;                 /* to try on each unmarked clip, at one place */
    double tried, above[4];   /* trials; those above 3, 4, 5 and 6 sigma */
    double highest_chance;
} Bench;

static const uint8_t key[WATERMARK_KEY_BYTES] = "the bench's own key, 32 bytes.";

/* ---- attacks ----------------------------------------------------------------------------------------------------------------- */

static void crop(Scene *s, double x0, double y0, double share_x, double share_y)
{
    const int w = (int)(s->width * share_x) & ~1, h = (int)(s->height * share_y) & ~1;
    const int x = (int)((s->width - w) * x0) & ~1, y = (int)((s->height - h) * y0) & ~1;
    Scene to = scene_new(w, h, s->fps, s->count);
    for (int i = 0; i < s->count; i++)
        for (int p = 0; p < 3; p++)
            for (int row = 0; row < scene_plane_height(&to, p); row++)
                memcpy(scene_plane(&to, i, p) + (ptrdiff_t)row * scene_plane_width(&to, p),
                       scene_plane(s, i, p) + (ptrdiff_t)(row + (p ? y / 2 : y)) * scene_plane_width(s, p) +
                           (p ? x / 2 : x),
                       (size_t)scene_plane_width(&to, p));
    scene_free(s);
    *s = to;
}

static void resize(Scene *s, int width, int height)
{
    Scene to = scene_scale(s, width & ~1, height & ~1);
    scene_free(s);
    *s = to;
}

/* To 5/4 of the rate: every fourth picture twice. */
static void faster(Scene *s)
{
    Scene to = scene_new(s->width, s->height, s->fps * 5 / 4, s->count * 5 / 4);
    for (int i = 0; i < to.count; i++) memcpy(scene_plane(&to, i, 0), scene_plane(s, i * 4 / 5, 0), scene_bytes(s));
    scene_free(s);
    *s = to;
}

static Status delivered(Scene *s)
{
    (void)s;
    return status_ok();
}
static Status crf28(Scene *s) { return scene_recode(s, 28, "veryfast"); }
static Status crf33(Scene *s) { return scene_recode(s, 33, "veryfast"); }
static Status half(Scene *s)
{
    resize(s, s->width / 2, s->height / 2);
    return scene_recode(s, 23, "veryfast");
}
static Status rate(Scene *s)
{
    faster(s);
    return scene_recode(s, 23, "veryfast");
}
static Status cropped(Scene *s)
{
    crop(s, 0.3, 0.6, 0.9, 0.9);
    return scene_recode(s, 23, "veryfast");
}
static Status cropped_back(Scene *s) /* and enlarged to the old size */
{
    const int w = s->width, h = s->height;
    crop(s, 0.5, 0.5, 0.9, 0.9);
    resize(s, w, h);
    return scene_recode(s, 23, "veryfast");
}
static Status chain_reels(Scene *s) /* to 720 wide at most, twice recompressed */
{
    const int w = s->width, h = s->height;
    TRY(scene_recode(s, 23, "veryfast"));
    resize(s, w * 2 / 3, h * 2 / 3);
    return scene_recode(s, 28, "veryfast");
}
static Status chain_shorts(Scene *s) /* another platform: three quarters of the size, once, harder */
{
    resize(s, s->width * 3 / 4, s->height * 3 / 4);
    return scene_recode(s, 30, "veryfast");
}
static Status chain_messenger(Scene *s) /* a messenger after a platform: smaller, harder */
{
    TRY(chain_reels(s));
    resize(s, s->width * 3 / 4, s->height * 3 / 4);
    return scene_recode(s, 30, "veryfast");
}
static Status crf40(Scene *s) { return scene_recode(s, 40, "veryfast"); }
static Status quarter(Scene *s)
{
    resize(s, s->width / 4, s->height / 4);
    return scene_recode(s, 28, "veryfast");
}
static Status cropped_half(Scene *s)
{
    crop(s, 0.5, 0.5, 0.7, 0.7);
    return scene_recode(s, 23, "veryfast");
}
static Status mirrored(Scene *s)
{
    for (int i = 0; i < s->count; i++)
        for (int y = 0; y < s->height; y++) {
            uint8_t *p = scene_plane(s, i, 0) + (ptrdiff_t)y * s->width;
            for (int x = 0; x < s->width / 2; x++) {
                const uint8_t t = p[x];
                p[x] = p[s->width - 1 - x];
                p[s->width - 1 - x] = t;
            }
        }
    return scene_recode(s, 23, "veryfast");
}

static const struct {
    const char *name;
    Status (*attack)(Scene *);
    bool survives; /* shall */
} attack[] = {
    {"as delivered (CRF 18)", delivered, true},
    {"H.264 CRF 28", crf28, true},
    {"H.264 CRF 33", crf33, true},
    {"half size, CRF 23", half, true},
    {"24 to 30 pictures a second, CRF 23", rate, true},
    {"10 % cropped off, CRF 23", cropped, true},
    {"10 % cropped off and enlarged again, CRF 23", cropped_back, true},
    {"a platform: CRF 23, two thirds of the size, CRF 28", chain_reels, true},
    {"another platform: three quarters of the size, CRF 30", chain_shorts, true},
    {"a messenger after the first: three quarters, CRF 30", chain_messenger, false},
    {"H.264 CRF 40", crf40, false},
    {"a quarter of the size, CRF 28", quarter, false},
    {"30 % cropped off, CRF 23", cropped_half, false},
    {"mirrored", mirrored, false},
};
enum { ATTACKS = (int)(sizeof attack / sizeof *attack) };

/* ---- one clip ------------------------------------------------------------------------------------------------------------------ */

static Status load(const Bench *b, int i, Scene *out)
{
    if (i % 2 == 0) {
        *out = scene_draw(i / 2 % SCENE_KINDS, (unsigned)(1000 + i), b->width, b->height, 24, b->pictures);
        return status_ok();
    }
    char *path = text_format("%s/pocket-%d.mp4", b->folder, i / 2 % 11);
    Status status = scene_read(path, b->width, b->height, b->pictures, out);
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

static Status mark(Bench *b, Scene *s, uint64_t payload)
{
    Watermark *w;
    Scene plain = scene_copy(s);
    TRY(watermark_new(key, payload, s->width, s->height, &w));
    const double start = moment_s();
    for (int i = 0; i < s->count; i++) watermark_embed(w, scene_plane(s, i, 0), s->width);
    b->embed_s += moment_s() - start;
    b->embedded_pictures += s->count;
    watermark_free(&w);
    const double db = psnr(&plain, s), similar = ssim(&plain, s);
    b->psnr_least = fmin(b->psnr_least, db);
    b->psnr_sum += db;
    b->ssim_least = fmin(b->ssim_least, similar);
    b->ssim_sum += similar;
    scene_free(&plain);
    return scene_recode(s, 18, "veryfast");
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

typedef struct {
    int found;
    double least_z, sum_z, least_bits;
} Row;

static bool write_table(const Bench *b, const Row *row, FILE *to)
{
    bool fine = b->psnr_least >= 42 && !b->found_nothing && b->above[3] == 0;
    fprintf(to,
            "%d clips of %dx%d, %d pictures.\n\n| after | read back | pilot, least and mean (sigma) | shall "
            "|\n|---|---|---|---|\n",
            b->clips, b->width, b->height, b->pictures);
    for (int k = 0; k < ATTACKS; k++) {
        if (b->promised && !attack[k].survives) continue;
        fprintf(to, "| %s | %.0f %% | %.1f, %.1f | %s |\n", attack[k].name, 100.0 * row[k].found / b->clips,
                row[k].least_z, row[k].sum_z / b->clips, attack[k].survives ? "yes" : "no promise");
        if (attack[k].survives && row[k].found < 0.95 * b->clips) fine = false;
    }
    fprintf(to, "\nPSNR of luma: least %.2f dB, mean %.2f; SSIM: least %.4f, mean %.4f.\n", b->psnr_least,
            b->psnr_sum / b->clips, b->ssim_least, b->ssim_sum / b->clips);
    fprintf(to,
            "Unmarked, or with another key: found %d of %d, in %.1e places; highest pilot %.2f sigma (found from %.1f, "
            "with the check).\n",
            b->found_nothing, b->tried_nothing, b->places, b->highest_z, WATERMARK_LEAST_Z);
    if (b->tried > 0)
        fprintf(to,
                "%.0e random keys on unmarked clips, at one place each: %.0f above 3 sigma (%.0f by the normal law), "
                "%.0f above 4 (%.0f), %.0f above "
                "5 (%.1f), %.0f above 6 (%.3f); highest %.2f.\n",
                b->tried, b->above[0], b->tried * erfc(3 / sqrt(2)) / 2, b->above[1], b->tried * erfc(4 / sqrt(2)) / 2,
                b->above[2], b->tried * erfc(5 / sqrt(2)) / 2, b->above[3], b->tried * erfc(6 / sqrt(2)) / 2,
                b->highest_chance);
    fprintf(to, "Time a picture: %.2f ms to embed, %.2f ms to add up for reading.\n",
            1000 * b->embed_s / b->embedded_pictures, 1000 * b->read_s / b->read_pictures);
    return fine;
}

static Status run(Bench *b)
{
    Row row[ATTACKS];
    for (int k = 0; k < ATTACKS; k++) row[k] = (Row){.least_z = INFINITY};
    for (int i = 0; i < b->clips; i++) {
        Scene s;
        const uint64_t payload =
            watermark_payload("bench", (const char[]){(char)('a' + i % 26), (char)('a' + i / 26), 0});
        TRY(load(b, i, &s));
        look_for_nothing(b, &s);
        if (b->keys) try_keys(b, &s, 0x9e3779b97f4a7c15u + (uint64_t)i);
        TRY(mark(b, &s, payload));
        for (int k = 0; k < ATTACKS; k++) {
            if (b->promised && !attack[k].survives) continue;
            Scene hit = scene_copy(&s);
            TRY(attack[k].attack(&hit));
            const WatermarkReading r = read_scene(b, &hit, key);
            const bool found = r.found && r.payload == payload;
            if (r.found && !found) printf("WRONG payload: clip %d, %s\n", i, attack[k].name);
            if (!found)
                printf("lost: clip %d, %s: z %.2f, grid %d scale %.4f at %.1f,%.1f, %d bits right\n", i, attack[k].name,
                       r.z, r.cells, r.scale, r.x, r.y, 64 - __builtin_popcountll(r.payload ^ payload));
            row[k].found += found;
            row[k].least_z = fmin(row[k].least_z, r.z);
            row[k].sum_z += r.z;
            scene_free(&hit);
        }
        scene_free(&s);
    }
    FILE *f = b->table ? fopen(b->table, "w") : NULL;
    const bool fine = write_table(b, row, stdout);
    if (f) {
        write_table(b, row, f);
        fclose(f);
    }
    return fine ? status_ok() : status_fail(ERR_CLIP, "the watermark does not keep what it promises");
}

int main(int argc, char **argv)
{
    Bench b = {.clips = 2,
               .width = 360,
               .height = 640,
               .pictures = 24,
               .trials = 1,
               .psnr_least = INFINITY,
               .ssim_least = INFINITY};
    int first;
    const Option table[] = {
        {"clips", OPTION_INT, &b.clips, .value = "N", .min = 1, .max = 600, .help = "how many (2)"},
        {"width", OPTION_INT, &b.width, .value = "W", .min = 64, .max = 4096},
        {"height", OPTION_INT, &b.height, .value = "H", .min = 64, .max = 4096, .help = "even"},
        {"pictures", OPTION_INT, &b.pictures, .value = "N", .min = 8, .max = 1000, .help = "of each clip (24)"},
        {"promised", OPTION_FLAG, &b.promised, .help = "only the attacks that shall be survived"},
        {"trials", OPTION_INT, &b.trials, .value = "N", .min = 0, .max = 1000000,
         .help = "keys of others, on each clip (1)"},
        {"keys", OPTION_INT, &b.keys, .value = "N", .min = 0, .max = 10000000,
         .help = "random keys at one place of each unmarked clip"},
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
        status = run(&b);
    }
    if (failed(status)) fprintf(stderr, "bench_watermark: %s\n", status.message);
    return failed(status);
}
