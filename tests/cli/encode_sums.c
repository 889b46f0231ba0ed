/* encode_sums LEVEL: clips and stills of made-up frames, and their sums, one line each: run_encode.sh compares runs. LEVEL is what
 * libav's own code may use: "all", "avx2", "none". The first line is which x264 it was. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavutil/cpu.h>

#include "common/file.h"
#include "common/hash.h"
#include "worker/finish/encode.h"
#include "worker/finish/stills.h"

enum { FRAMES = 10, FPS = 16, AVX2_AND_BELOW = ~(AV_CPU_FLAG_AVX512 | AV_CPU_FLAG_AVX512ICL) };

/* Waves that move, and noise: what makes x264 weigh B-frames and quantisers against each other. No libm call whose last bit could
 * differ between machines: products and sums only. */
static void paint(float *rgb, int width, int height, int frame)
{
    uint32_t noise = 12345u + (uint32_t)frame;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++) {
                int wave = (x * (c + 2) + y * 3 + frame * (7 + 4 * c)) % 64;
                int box = (x + 5 * frame) % width < width / 4 && y > height / 3;
                noise = noise * 1664525u + 1013904223u;
                *rgb++ =
                    (float)(wave < 32 ? wave : 64 - wave) / 48.0f + (float)box * 0.25f + (float)(noise >> 24) / 4096.0f;
            }
}

static Status make(int width, int height, const EncodeOptions *o)
{
    Encode *e = NULL;
    Stills *s = NULL;
    Status status = status_ok();
    float *rgb = memory_get((size_t)width * (size_t)height * 3, sizeof *rgb);
    TRY_OUT(encode_begin("sums.mp4", o, &e));
    TRY_OUT(stills_begin(FRAMES, FPS, &s));
    for (int i = 0; i < FRAMES; i++) {
        paint(rgb, width, height, i);
        TRY_OUT(encode_put(e, rgb, 1, height, width));
        TRY_OUT(stills_put(s, rgb, 1, height, width));
    }
    TRY_OUT(encode_end(&e));
    TRY_OUT(stills_write(s, "sums.png", "sums.sheet.png"));
out:
    encode_abandon(&e);
    stills_free(&s);
    free(rgb);
    return status;
}

static Status tell(const char *name, const char *file)
{
    char sum[HASH_TEXT];
    TRY(hash_file(file, sum));
    printf("%s %s %s\n", name, file, sum);
    return status_ok();
}

/* x264 writes its version into the first frame; what else it writes there (its options) is not of interest. */
static Status tell_version(void)
{
    char *data;
    size_t n;
    TRY(file_read("sums.mp4", 1 << 26, &data, &n));
    const char *at = memmem(data, n, "x264 - core ", 12), *end = at ? memmem(at, 64, " - ", 3) : NULL;
    end = end ? memmem(end + 3, 64, " - ", 3) : NULL;
    if (end) printf("%.*s\n", (int)(end - at), at);
    free(data);
    return end ? status_ok() : status_fail(ERR_FATAL, "sums.mp4 does not say which x264 it is of");
}

static Status make_all(void)
{
    static const struct {
        const char *name;
        int width, height, to_width, to_height, crf, max_kbps;
    } row[] = {
        {"64x48", 64, 48, 0, 0, 18, 0},
        {"96x176", 96, 176, 0, 0, 23, 400},
        {"540x960", 64, 112, 540, 960, 23, 0},
        {"1080x1920", 64, 112, 1080, 1920, 20, 12000},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        EncodeOptions o = encode_defaults();
        o.width = row[i].to_width, o.height = row[i].to_height, o.fps = FPS;
        o.crf = row[i].crf, o.preset = "medium", o.max_kbps = row[i].max_kbps;
        TRY(make(row[i].width, row[i].height, &o));
        if (i == 0) TRY(tell_version());
        TRY(tell(row[i].name, "sums.mp4"));
        TRY(tell(row[i].name, "sums.png"));
        TRY(tell(row[i].name, "sums.sheet.png"));
    }
    return status_ok();
}

int main(int argc, char **argv)
{
    const char *level = argc == 2 ? argv[1] : "";
    if (strcmp(level, "avx2") == 0) av_force_cpu_flags(av_get_cpu_flags() & AVX2_AND_BELOW);
    if (strcmp(level, "none") == 0) av_force_cpu_flags(0);
    Status status = make_all();
    if (failed(status)) fprintf(stderr, "encode_sums: %s\n", status.message);
    return failed(status);
}
