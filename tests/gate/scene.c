#include "scene.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>

#include "common/file.h"

Scene scene_new(int width, int height, int fps, int count)
{
    Scene s = {width, height, fps, count, NULL};
    s.data = malloc(scene_bytes(&s) * (size_t)count);
    if (!s.data) abort();
    for (int i = 0; i < count; i++)
        for (int p = 0; p < 3; p++)
            memset(scene_plane(&s, i, p), p ? 128 : 16,
                   (size_t)scene_plane_width(&s, p) * (size_t)scene_plane_height(&s, p));
    return s;
}

Scene scene_copy(const Scene *s)
{
    Scene c = scene_new(s->width, s->height, s->fps, s->count);
    memcpy(c.data, s->data, scene_bytes(s) * (size_t)s->count);
    return c;
}

void scene_free(Scene *s)
{
    free(s->data);
    *s = (Scene){0};
}

FilmPicture scene_picture(const Scene *s, int i)
{
    FilmPicture p = {.width = s->width, .height = s->height, .at_s = (double)i / s->fps};
    for (int k = 0; k < 3; k++) {
        p.plane[k] = scene_plane(s, i, k);
        p.stride[k] = scene_plane_width(s, k);
    }
    return p;
}

/* ---- drawing ----------------------------------------------------------------------------------------------------------- */

/* Value noise of five octaves, 0 to 1, at any place. */
static float lattice(unsigned seed, int x, int y)
{
    unsigned h = seed ^ ((unsigned)x * 374761393u) ^ ((unsigned)y * 668265263u);
    h = (h ^ (h >> 13)) * 1274126177u;
    return (float)((h ^ (h >> 16)) & 0xffff) / 65535.0f;
}

static float smooth_noise(unsigned seed, float x, float y)
{
    const int ix = (int)floorf(x), iy = (int)floorf(y);
    float fx = x - (float)ix, fy = y - (float)iy;
    fx = fx * fx * (3 - 2 * fx);
    fy = fy * fy * (3 - 2 * fy);
    const float a = lattice(seed, ix, iy), b = lattice(seed, ix + 1, iy), c = lattice(seed, ix, iy + 1),
                d = lattice(seed, ix + 1, iy + 1);
    return (a + (b - a) * fx) * (1 - fy) + (c + (d - c) * fx) * fy;
}

static float noise(unsigned seed, float x, float y)
{
    float sum = 0, weight = 0.5f;
    for (unsigned o = 0; o < 6; o++, weight /= 2, x *= 2, y *= 2) sum += weight * smooth_noise(seed + o, x, y);
    return sum;
}

static uint8_t byte(float x) { return (uint8_t)(x < 16 ? 16 : x > 235 ? 235 : x + 0.5f); }

typedef struct {
    float x, y, vx, vy, r, luma, u, v;
} Disc;

typedef struct {
    int kind;
    unsigned seed;
    float pan_x, pan_y, zoom, level, tint_u, tint_v, height, length_s; /* height: the longer side being 1 */
    Disc disc[6];
    int discs;
} Plan;

static Plan make_plan(int kind, unsigned seed)
{
    unsigned r = seed * 2654435761u + 1;
    Plan p = {.kind = kind, .seed = scene_random(&r), .discs = 2 + (int)(scene_random(&r) % 4)};
    p.pan_x = (scene_uniform(&r) - 0.5f) * 0.25f;
    if (kind > SCENE_GRAIN) p.pan_x += copysignf(0.02f, p.pan_x); /* never still */
    p.pan_y = (scene_uniform(&r) - 0.5f) * 0.08f;
    p.zoom = 4 + 5 * scene_uniform(&r);
    p.level = 90 + 60 * scene_uniform(&r);
    p.tint_u = 118 + 20 * scene_uniform(&r);
    p.tint_v = 118 + 20 * scene_uniform(&r);
    for (int i = 0; i < p.discs; i++)
        p.disc[i] = (Disc){scene_uniform(&r),
                           scene_uniform(&r),
                           (scene_uniform(&r) - 0.5f) * 0.3f,
                           (scene_uniform(&r) - 0.5f) * 0.3f,
                           0.04f + 0.1f * scene_uniform(&r),
                           40 + 170 * scene_uniform(&r),
                           90 + 76 * scene_uniform(&r),
                           90 + 76 * scene_uniform(&r)};
    return p;
}

static void paint_hills(const Plan *p, float x, float y, float *c)
{
    const float ridge = 0.35f + 0.3f * noise(p->seed, x * 3, 0.5f);
    const float grass = noise(p->seed + 9, x * 30, y * 30);
    c[0] = y < ridge ? 200 - 60 * y / ridge : 60 + 100 * grass;
    c[1] = y < ridge ? 150 : 105;
    c[2] = y < ridge ? 110 : 120;
}

/* Dark houses before a darker sky, some windows lit. */
static void paint_night(const Plan *p, float x, float y, float *c)
{
    const int house = (int)floorf(x * 9), column = (int)floorf(x * 63), row = (int)floorf(y * 48);
    const float roof = 0.15f + 0.35f * lattice(p->seed, house, 3);
    const bool frame = fmodf(x * 63 + 63, 1) > 0.6f || fmodf(y * 48, 1) > 0.6f;
    c[0] = y < roof ? 20 + 8 * y : 26 + 14 * noise(p->seed + 5, x * 40, y * 40);
    if (y < roof || frame || lattice(p->seed + 1, column, row) < 0.8f) return;
    c[0] = 110 + 90 * lattice(p->seed + 2, column, row);
    c[1] = 100;
    c[2] = 145;
}

/* Bursts that open and fade, each a twentieth of the picture, one after the other. */
static void paint_fireworks(const Plan *p, float x, float y, float t, float *c)
{
    paint_night(p, x, y, c);
    if (y < 0.6f * p->height) c[0] = 20, c[1] = p->tint_u, c[2] = p->tint_v;
    for (int k = 0; k < 7; k++) {
        const float age = t - 0.6f * (float)k - 0.2f * lattice(p->seed, k, 0), r = 0.02f + 0.11f * sqrtf(fmaxf(age, 0));
        if (age < 0 || age > 1.2f) continue;
        const float dx = x - 0.1f - 0.35f * lattice(p->seed, k, 1), dy = y - 0.1f - 0.3f * lattice(p->seed, k, 2);
        const float d = sqrtf(dx * dx + dy * dy), spoke = fmodf(atan2f(dy, dx) * 14 / (float)M_PI + 28, 1);
        if (d > r || d < 0.55f * r || spoke > 0.45f) continue;
        c[0] = fmaxf(c[0], 220 - 165 * age);
        c[1] = 90 + 76 * lattice(p->seed, k, 3);
        c[2] = 90 + 76 * lattice(p->seed, k, 4);
    }
}

/* Two lines of letters as large as captions are, from a fifth of the time on. */
static void paint_caption(const Plan *p, float x, float y, float t, float *c)
{
    paint_hills(p, x + p->pan_x * t, y, c);
    const float tx = (x - 0.06f) * 44, ty = (y - 0.68f * p->height) * 26;
    const int column = (int)floorf(tx), row = (int)floorf(ty);
    if (t > 0.8f && t < 3.4f && row >= 0 && row < 3 && row != 1 && column >= 0 && column < 18 && column % 6 != 5) {
        const int dot = (int)((tx - (float)column) * 5) + 5 * (int)((ty - (float)row) * 7);
        if (lattice(p->seed + 31, column + 40 * row, dot) > 0.5f) c[0] = 235, c[1] = c[2] = 128;
    }
}

/* Colour at (x, y), the longer side being 1, at t seconds: luma, u, v. */
static void paint(const Plan *p, float x, float y, float t, float *c)
{
    const float nx = x + p->pan_x * t, ny = y + p->pan_y * t;
    c[1] = p->tint_u;
    c[2] = p->tint_v;
    switch (p->kind) {
    case SCENE_HILLS:
    case SCENE_FADE:
        paint_hills(p, nx, y, c);
        break;
    case SCENE_TEXTURE:
        c[0] = 40 + 170 * noise(p->seed, nx * p->zoom, ny * p->zoom);
        break;
    case SCENE_SHAPES:
        c[0] = p->level + 30 * (noise(p->seed, nx * 12, ny * 12) - 0.5f);
        break;
    case SCENE_GRAIN:
        c[0] = p->level + 25 * sinf(t * 0.9f) + 70 * (noise(p->seed, x * p->zoom, ny * p->zoom) - 0.5f);
        break;
    case SCENE_NIGHT:
        paint_night(p, nx, y, c);
        break;
    case SCENE_FIREWORKS:
        paint_fireworks(p, x, y, t, c);
        return;
    case SCENE_WHIP:
        paint_hills(p, x + 5 * p->pan_x * t, y, c);
        break;
    default:
        paint_caption(p, x, y, t, c);
        return;
    }
    for (int i = 0; i < p->discs; i++) {
        const Disc *d = &p->disc[i];
        float cx = fmodf(d->x + d->vx * t + 10, 1), cy = fmodf(d->y + d->vy * t + 10, 1);
        cx = 1.2f * cx - 0.1f; /* in and out over the border */
        cy = 1.2f * cy - 0.1f;
        if ((x - cx) * (x - cx) + (y - cy) * (y - cy) > d->r * d->r) continue;
        c[0] = d->luma + (p->kind == 2 ? 0 : 40 * (noise(p->seed + 77, (x - cx) * 20, (y - cy) * 20) - 0.5f));
        c[1] = d->u;
        c[2] = d->v;
    }
    const float bar = p->kind == SCENE_CAPTION ? 0.11f * p->height : 0;
    if (y < bar || y > p->height - bar) c[0] = 16, c[1] = c[2] = 128;
    if (p->kind != SCENE_FADE) return;
    const float light = fminf(1, fminf(t, p->length_s - t) / 0.8f); /* from black, and to black again */
    c[0] = 16 + light * (c[0] - 16);
    c[1] = 128 + light * (c[1] - 128);
    c[2] = 128 + light * (c[2] - 128);
}

static void draw_picture(const Plan *p, Scene *s, int i, unsigned *grain)
{
    const float longer = (float)(s->width > s->height ? s->width : s->height), t = (float)i / (float)s->fps;
    uint8_t *luma = scene_plane(s, i, 0), *u = scene_plane(s, i, 1), *v = scene_plane(s, i, 2);
    for (int y = 0; y < s->height; y++)
        for (int x = 0; x < s->width; x++) {
            float c[3];
            paint(p, (float)x / longer, (float)y / longer, t, c);
            if (p->kind == SCENE_GRAIN) c[0] += 6 * (scene_uniform(grain) - 0.5f);
            luma[y * s->width + x] = byte(c[0]);
            if (x % 2 || y % 2) continue;
            u[y / 2 * (s->width / 2) + x / 2] = byte(c[1]);
            v[y / 2 * (s->width / 2) + x / 2] = byte(c[2]);
        }
}

Scene scene_draw(int kind, unsigned seed, int width, int height, int fps, int count)
{
    Plan p = make_plan(kind, seed);
    p.height = (float)height / (float)(width > height ? width : height);
    p.length_s = (float)(count - 1) / (float)fps;
    unsigned grain = seed + 1;
    Scene s = scene_new(width, height, fps, count);
    for (int i = 0; i < count; i++) draw_picture(&p, &s, i, &grain);
    return s;
}

/* ---- reading and scaling ------------------------------------------------------------------------------------------------- */

Scene scene_scale(const Scene *s, int width, int height)
{
    Scene to = scene_new(width, height, s->fps, s->count);
    struct SwsContext *c = sws_getContext(s->width, s->height, AV_PIX_FMT_YUV420P, width, height, AV_PIX_FMT_YUV420P,
                                          SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT, NULL, NULL, NULL);
    if (!c) abort();
    for (int i = 0; i < s->count; i++) {
        const FilmPicture p = scene_picture(s, i);
        uint8_t *plane[3];
        int stride[3];
        for (int k = 0; k < 3; k++) {
            plane[k] = scene_plane(&to, i, k);
            stride[k] = scene_plane_width(&to, k);
        }
        sws_scale(c, p.plane, p.stride, 0, s->height, plane, stride);
    }
    sws_freeContext(c);
    return to;
}

typedef struct {
    Scene scene;
    int came, most;
} Reading;

static Status take(void *self, const FilmPicture *p)
{
    Reading *r = self;
    if (!r->scene.data) r->scene = scene_new(p->width & ~1, p->height & ~1, 25, r->most);
    if (r->came >= r->most) return status_ok();
    for (int k = 0; k < 3; k++)
        for (int y = 0; y < scene_plane_height(&r->scene, k); y++)
            memcpy(scene_plane(&r->scene, r->came, k) + (ptrdiff_t)y * scene_plane_width(&r->scene, k),
                   p->plane[k] + (ptrdiff_t)y * p->stride[k], (size_t)scene_plane_width(&r->scene, k));
    r->came++;
    return status_ok();
}

Status scene_read(const char *path, int width, int height, int most, Scene *out)
{
    Reading r = {.most = most};
    FilmInfo info;
    TRY(film_read_any(path, (FilmSink){&r, take, NULL}, &info));
    r.scene.count = r.came;
    r.scene.fps = (int)lround(info.fps);
    *out = r.scene;
    if (!width || (width == out->width && height == out->height)) return status_ok();
    *out = scene_scale(&r.scene, width, height);
    scene_free(&r.scene);
    return status_ok();
}

/* ---- through x264 -------------------------------------------------------------------------------------------------------- */

typedef struct {
    Scene *s;
    AVCodecContext *coder, *decoder;
    AVFrame *in, *out;
    AVPacket *packet;
    int decoded;
} Recode;

static bool open_recode(Recode *r, int crf, const char *preset)
{
    const Scene *s = r->s;
    AVCodecContext *c = r->coder = avcodec_alloc_context3(avcodec_find_encoder_by_name("libx264"));
    r->decoder = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_H264));
    r->in = av_frame_alloc();
    r->out = av_frame_alloc();
    r->packet = av_packet_alloc();
    if (!c || !r->decoder || !r->in || !r->out || !r->packet) return false;
    c->width = s->width;
    c->height = s->height;
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    c->time_base = (AVRational){1, s->fps};
    c->framerate = (AVRational){s->fps, 1};
    c->thread_count = 1;
    av_opt_set(c->priv_data, "preset", preset, 0);
    av_opt_set_double(c->priv_data, "crf", crf, 0);
    r->in->width = s->width;
    r->in->height = s->height;
    r->in->format = AV_PIX_FMT_YUV420P;
    r->decoder->thread_count = 1;
    return avcodec_open2(c, c->codec, NULL) >= 0 && avcodec_open2(r->decoder, r->decoder->codec, NULL) >= 0 &&
           av_frame_get_buffer(r->in, 0) >= 0;
}

static bool take_decoded(Recode *r)
{
    while (avcodec_receive_frame(r->decoder, r->out) >= 0) {
        if (r->decoded >= r->s->count) return false;
        for (int k = 0; k < 3; k++)
            for (int y = 0; y < scene_plane_height(r->s, k); y++)
                memcpy(scene_plane(r->s, r->decoded, k) + (ptrdiff_t)y * scene_plane_width(r->s, k),
                       r->out->data[k] + (ptrdiff_t)y * r->out->linesize[k], (size_t)scene_plane_width(r->s, k));
        r->decoded++;
    }
    return true;
}

/* The decoder lags behind the encoder, so that writing over the scene is safe: a picture comes out after it went in. */
static bool pass(Recode *r, AVFrame *picture)
{
    if (avcodec_send_frame(r->coder, picture) < 0) return false;
    while (avcodec_receive_packet(r->coder, r->packet) >= 0) {
        bool fine = avcodec_send_packet(r->decoder, r->packet) >= 0 && take_decoded(r);
        av_packet_unref(r->packet);
        if (!fine) return false;
    }
    return true;
}

static bool recode_all(Recode *r)
{
    for (int i = 0; i < r->s->count; i++) {
        if (av_frame_make_writable(r->in) < 0) return false;
        for (int k = 0; k < 3; k++)
            for (int y = 0; y < scene_plane_height(r->s, k); y++)
                memcpy(r->in->data[k] + (ptrdiff_t)y * r->in->linesize[k],
                       scene_plane(r->s, i, k) + (ptrdiff_t)y * scene_plane_width(r->s, k),
                       (size_t)scene_plane_width(r->s, k));
        r->in->pts = i;
        if (!pass(r, r->in)) return false;
    }
    return pass(r, NULL) && avcodec_send_packet(r->decoder, NULL) >= 0 && take_decoded(r) && r->decoded == r->s->count;
}

Status scene_recode(Scene *s, int crf, const char *preset)
{
    Recode r = {.s = s};
    av_log_set_level(AV_LOG_FATAL);
    bool fine = open_recode(&r, crf, preset) && recode_all(&r);
    avcodec_free_context(&r.coder);
    avcodec_free_context(&r.decoder);
    av_frame_free(&r.in);
    av_frame_free(&r.out);
    av_packet_free(&r.packet);
    return fine ? status_ok() : status_fail(ERR_NODE, "cannot recode a scene of %dx%d", s->width, s->height);
}
