#include "heic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libheif/heif.h>

#include "common/file.h"

enum { MAX_BYTES = 1 << 28 };

bool heic_is(const char *path)
{
    static const char *const brand[] = {"heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"};
    char begin[12] = "";
    FILE *f;
    bool found = false;
    if (failed(file_open_stream(path, &f))) return false;
    if (fread(begin, 1, sizeof begin, f) == sizeof begin && memcmp(begin + 4, "ftyp", 4) == 0)
        for (size_t i = 0; i < sizeof brand / sizeof *brand; i++) found = found || memcmp(begin + 8, brand[i], 4) == 0;
    fclose(f);
    return found;
}

static Status heic_failed(const char *path, struct heif_error e)
{
    return status_fail(ERR_INPUT, "%s: a HEIC file that cannot be read: %s", path, e.message ? e.message : "damaged");
}

/* Rows without what pads them. */
static Status take_pixels(const char *path, const struct heif_image *image, Picture *out)
{
    int stride = 0;
    const int width = heif_image_get_width(image, heif_channel_interleaved),
              height = heif_image_get_height(image, heif_channel_interleaved);
    const uint8_t *plane = heif_image_get_plane_readonly(image, heif_channel_interleaved, &stride);
    if (!plane || width < 1 || height < 1) return status_fail(ERR_INPUT, "%s: holds no picture", path);
    uint8_t *rgb = malloc((size_t)width * (size_t)height * 3);
    if (!rgb) return status_fail(ERR_NODE, "%s: out of memory for %dx%d pixels", path, width, height);
    for (int y = 0; y < height; y++)
        memcpy(rgb + (size_t)y * (size_t)width * 3, plane + (size_t)y * (size_t)stride, (size_t)width * 3);
    *out = (Picture){width, height, rgb};
    return status_ok();
}

Status heic_read(const char *path, int max_side, Picture *out)
{
    char *data = NULL;
    size_t bytes;
    struct heif_image_handle *handle = NULL;
    struct heif_image *image = NULL;
    Status status = status_ok();
    *out = (Picture){0};
    TRY(file_read(path, MAX_BYTES, &data, &bytes));
    struct heif_context *c = heif_context_alloc();
    struct heif_error e = heif_context_read_from_memory_without_copy(c, data, bytes, NULL);
    if (e.code == heif_error_Ok) e = heif_context_get_primary_image_handle(c, &handle);
    if (e.code != heif_error_Ok) TRY_OUT(heic_failed(path, e));
    if (heif_image_handle_get_width(handle) > max_side || heif_image_handle_get_height(handle) > max_side)
        TRY_OUT(status_fail(ERR_INPUT, "%s: more than %d pixels a side", path, max_side));
    e = heif_decode_image(handle, &image, heif_colorspace_RGB, heif_chroma_interleaved_RGB, NULL);
    if (e.code != heif_error_Ok) TRY_OUT(heic_failed(path, e));
    TRY_OUT(take_pixels(path, image, out));
out:
    heif_image_release(image);
    heif_image_handle_release(handle);
    heif_context_free(c);
    free(data);
    return status;
}
