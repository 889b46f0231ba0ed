#include "photo.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "common/file.h"
#include "worker/pictures/exif.h"

typedef struct { /* libjpeg's error handler; it must not return, so it jumps */
    struct jpeg_error_mgr base;
    jmp_buf back;
    char text[JMSG_LENGTH_MAX];
} Trouble;

static void leave(j_common_ptr jpeg)
{
    Trouble *t = (Trouble *)(void *)jpeg->err;
    jpeg->err->format_message(jpeg, t->text);
    longjmp(t->back, 1);
}

/* Of the warnings only a missing end matters: the rest of such a picture is grey. */
static void hear(j_common_ptr jpeg, int level)
{
    if (level < 0 && jpeg->err->msg_code == JWRN_JPEG_EOF) leave(jpeg);
}

bool photo_is_jpeg(const char *path)
{
    uint8_t begin[3] = {0};
    FILE *f;
    file_open_stream(path, &f);
    const size_t n = f ? fread(begin, 1, sizeof begin, f) : 0;
    if (f) fclose(f);
    return n == sizeof begin && begin[0] == 0xff && begin[1] == 0xd8 && begin[2] == 0xff;
}

/* Four inks, stored inverted by everything that writes them -> RGB as Pillow converts them: products rounded to 1/255. */
static void from_inks(const uint8_t *cmyk, size_t pixels, uint8_t *rgb)
{
    for (size_t i = 0; i < pixels; i++)
        for (int c = 0; c < 3; c++) {
            const int light = cmyk[4 * i + 3], ink = 255 - cmyk[4 * i + (size_t)c], t = ink * light + 128;
            const int v = light - (((t >> 8) + t) >> 8);
            rgb[3 * i + (size_t)c] = (uint8_t)(v < 0 ? 0 : v);
        }
}

static int orientation_of(const struct jpeg_decompress_struct *j)
{
    for (jpeg_saved_marker_ptr m = j->marker_list; m; m = m->next)
        if (m->data_length > 6 && memcmp(m->data, "Exif\0\0", 6) == 0) return exif_orientation(m->data, m->data_length);
    return 1;
}

/* Everything that may jump; what it allocates is reachable from its arguments. */
static void decode(struct jpeg_decompress_struct *j, FILE *f, int max_side, uint8_t **line, Picture *out)
{
    jpeg_create_decompress(j);
    jpeg_stdio_src(j, f);
    jpeg_save_markers(j, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(j, TRUE);
    if (j->image_width > (unsigned)max_side || j->image_height > (unsigned)max_side)
        ERREXIT1(j, JERR_IMAGE_TOO_BIG, max_side);
    const bool inks = j->num_components == 4;
    j->out_color_space = inks ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(j);
    const size_t width = j->output_width, height = j->output_height;
    uint8_t *rgb = memory_get(width * height, 3);
    *out = (Picture){(int)width, (int)height, rgb};
    if (inks) *line = memory_get(width, 4);
    while (j->output_scanline < height) {
        uint8_t *row = rgb + j->output_scanline * width * 3;
        jpeg_read_scanlines(j, inks ? line : &row, 1);
        if (inks) from_inks(*line, width, row);
    }
    exif_turn(out, orientation_of(j));
}

Status photo_read(const char *path, int max_side, Picture *out)
{
    struct jpeg_decompress_struct *j = memory_get(1, sizeof *j);
    uint8_t **line = memory_get(1, sizeof *line);
    Trouble t;
    Status status = status_ok();
    FILE *f = NULL;
    *out = (Picture){0};
    TRY_OUT(file_open_stream(path, &f));
    j->err = jpeg_std_error(&t.base);
    t.base.error_exit = leave;
    t.base.emit_message = hear;
    if (setjmp(t.back) == 0)
        decode(j, f, max_side, line, out);
    else
        status = status_fail(ERR_INPUT, "%s: a damaged picture (%s)", path, t.text);
    jpeg_destroy_decompress(j);
    if (failed(status)) {
        free((void *)(uintptr_t)out->rgb);
        *out = (Picture){0};
    }
out:
    if (f) fclose(f);
    free(*line);
    free(line);
    free(j);
    return status;
}
