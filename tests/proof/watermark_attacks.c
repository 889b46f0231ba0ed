#include "watermark_attacks.h"

#include <stddef.h>
#include <string.h>

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
