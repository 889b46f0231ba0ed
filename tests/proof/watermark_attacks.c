#include "watermark_attacks.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

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

/* To 5/4 of the rate, every fourth picture twice; or to 4/5, without every fifth. */
static void change_rate(Scene *s, int up, int down)
{
    Scene to = scene_new(s->width, s->height, s->fps * up / down, s->count * up / down);
    for (int i = 0; i < to.count; i++) memcpy(scene_plane(&to, i, 0), scene_plane(s, i * down / up, 0), scene_bytes(s));
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
static Status faster(Scene *s)
{
    change_rate(s, 5, 4);
    return scene_recode(s, 23, "veryfast");
}
static Status slower(Scene *s)
{
    change_rate(s, 4, 5);
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

const Attack watermark_attack[] = {
    {"as delivered (CRF 18)", delivered, true},
    {"H.264 CRF 28", crf28, true},
    {"H.264 CRF 33", crf33, true},
    {"half size, CRF 23", half, true},
    {"24 to 30 pictures a second, CRF 23", faster, true},
    {"30 to 24 pictures a second, CRF 23", slower, true},
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
const int watermark_attacks = (int)(sizeof watermark_attack / sizeof *watermark_attack);

/* ---- one picture ------------------------------------------------------------------------------------------------------------------- */

/* Luma alone, as JPEG has it: of full range. */
static void pack(const Scene *s, int quality, unsigned char **data, unsigned long *bytes)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr e;
    JSAMPROW row = malloc((size_t)s->width);
    if (!row) abort();
    c.err = jpeg_std_error(&e);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, data, bytes);
    c.image_width = (unsigned)s->width;
    c.image_height = (unsigned)s->height;
    c.input_components = 1;
    c.in_color_space = JCS_GRAYSCALE;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, quality, TRUE);
    jpeg_start_compress(&c, TRUE);
    while (c.next_scanline < c.image_height) {
        const uint8_t *from = scene_plane(s, 0, 0) + (ptrdiff_t)c.next_scanline * s->width;
        for (int x = 0; x < s->width; x++) {
            const int v = ((from[x] - 16) * 255 + 109) / 219;
            row[x] = (JSAMPLE)(v < 0 ? 0 : v > 255 ? 255 : v);
        }
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    free(row);
}

static Status through_jpeg(Scene *s, int quality)
{
    unsigned char *data = NULL;
    unsigned long bytes = 0;
    struct jpeg_decompress_struct d;
    struct jpeg_error_mgr e;
    pack(s, quality, &data, &bytes);
    d.err = jpeg_std_error(&e);
    jpeg_create_decompress(&d);
    jpeg_mem_src(&d, data, bytes);
    jpeg_read_header(&d, TRUE);
    jpeg_start_decompress(&d);
    while (d.output_scanline < d.output_height) {
        JSAMPROW row = scene_plane(s, 0, 0) + (ptrdiff_t)d.output_scanline * s->width;
        jpeg_read_scanlines(&d, &row, 1);
        for (int x = 0; x < s->width; x++) row[x] = (uint8_t)(16 + (row[x] * 219 + 127) / 255);
    }
    jpeg_finish_decompress(&d);
    jpeg_destroy_decompress(&d);
    free(data);
    return status_ok();
}

static Status jpeg85(Scene *s) { return through_jpeg(s, 85); }
static Status jpeg75(Scene *s) { return through_jpeg(s, 75); }
static Status jpeg50(Scene *s) { return through_jpeg(s, 50); }
static Status half_jpeg(Scene *s)
{
    resize(s, s->width / 2, s->height / 2);
    return through_jpeg(s, 85);
}
static Status cropped_jpeg(Scene *s)
{
    crop(s, 0.3, 0.6, 0.9, 0.9);
    return through_jpeg(s, 85);
}
static Status cropped_back_jpeg(Scene *s)
{
    const int w = s->width, h = s->height;
    crop(s, 0.5, 0.5, 0.9, 0.9);
    resize(s, w, h);
    return through_jpeg(s, 85);
}
static Status half_jpeg75(Scene *s)
{
    resize(s, s->width / 2, s->height / 2);
    return through_jpeg(s, 75);
}

const Attack watermark_still_attack[] = {
    {"as delivered", delivered, true},
    {"JPEG of quality 85", jpeg85, true},
    {"JPEG of quality 75", jpeg75, true},
    {"half size, JPEG 85", half_jpeg, true},
    {"10 % cropped off, JPEG 85", cropped_jpeg, true},
    {"10 % cropped off and enlarged again, JPEG 85", cropped_back_jpeg, true},
    {"JPEG of quality 50", jpeg50, false},
    {"half size, JPEG 75", half_jpeg75, false},
};
const int watermark_still_attacks = (int)(sizeof watermark_still_attack / sizeof *watermark_still_attack);
