#include "logo.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <libavutil/pixfmt.h>
#include <libswscale/swscale.h>

#include "common/file.h"
#include "common/same_file.h"
#include "worker/pictures/image.h"

enum { KEPT = 8 };

typedef struct {
    char *path;
    struct stat at; /* when it was read */
    int width, height;
    uint8_t *rgba; /* premultiplied */
} Logo;

static Logo kept[KEPT]; /* of this process, the latest first */

static void logo_clear(Logo *l)
{
    free(l->path);
    free(l->rgba);
    *l = (Logo){0};
}

static void to_front(int i)
{
    Logo l = kept[i];
    memmove(&kept[1], &kept[0], (size_t)i * sizeof *kept);
    kept[0] = l;
}

static Status read_logo(const char *path, Logo *out)
{
    TRY(image_read_rgba(path, &out->width, &out->height, &out->rgba));
    out->path = text_copy(path);
    for (size_t i = 0, n = (size_t)out->width * (size_t)out->height; i < n; i++) {
        uint8_t *p = out->rgba + 4 * i;
        for (int c = 0; c < 3; c++) p[c] = (uint8_t)((p[c] * p[3] + 127) / 255);
    }
    return status_ok();
}

static Status find_logo(const char *path, const Logo **out)
{
    struct stat at;
    if (stat(path, &at) != 0) return status_fail(ERR_INPUT, "%s: no such file", path);
    for (int i = 0; i < KEPT; i++)
        if (kept[i].path && strcmp(kept[i].path, path) == 0 && same_file(&kept[i].at, &at)) {
            to_front(i);
            *out = &kept[0];
            return status_ok();
        }
    Logo l = {.at = at};
    TRY(read_logo(path, &l));
    logo_clear(&kept[KEPT - 1]);
    kept[KEPT - 1] = l;
    to_front(KEPT - 1);
    *out = &kept[0];
    return status_ok();
}

Status logo_check(const char *path)
{
    const Logo *l;
    return find_logo(path, &l);
}

Status logo_scaled(const char *path, int longest, uint8_t **rgba, int *width, int *height)
{
    const Logo *l;
    TRY(find_logo(path, &l));
    int edge = l->width > l->height ? l->width : l->height;
    *width = (int)((int64_t)l->width * longest / edge);
    *height = (int)((int64_t)l->height * longest / edge);
    if (*width < 1) *width = 1;
    if (*height < 1) *height = 1;
    struct SwsContext *scale =
        sws_getContext(l->width, l->height, AV_PIX_FMT_RGBA, *width, *height, AV_PIX_FMT_RGBA,
                       (edge > longest ? SWS_AREA : SWS_BICUBIC) | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT,
                       NULL, NULL, NULL);
    if (!scale) return status_fail(ERR_NODE, "%s: cannot be scaled to %dx%d", path, *width, *height);
    *rgba = memory_get((size_t)*width * (size_t)*height + 16, 4);
    sws_scale(scale, (const uint8_t *const[]){l->rgba}, (int[]){l->width * 4}, 0, l->height, (uint8_t *[]){*rgba},
              (int[]){*width * 4});
    sws_freeContext(scale);
    for (size_t i = 0, n = (size_t)*width * (size_t)*height; i < n; i++) /* bicubic may overshoot the alpha */
        for (int c = 0; c < 3; c++)
            if ((*rgba)[4 * i + (size_t)c] > (*rgba)[4 * i + 3]) (*rgba)[4 * i + (size_t)c] = (*rgba)[4 * i + 3];
    return status_ok();
}
