#include "condition_make.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "engine/latents.h"
#include "engine/parts.h"
#include "engine/wan/picture.h"
#include "engine/weights/trace.h"

typedef struct { /* one call */
    Engine *e;
    const ShotSpec *shot;
    const Conditions *given;
    const Trace *trace;
    int encoded; /* videos so far, for the trace */
} Maker;

/* ---- which model takes what ---------------------------------------------------------------------------------------------- */

static bool is_pipeline(const ModelConfig *c, const char *name) { return strcmp(c->pipeline, name) == 0; }

static Status check_picture(const Picture *p, const char *name)
{
    if (p && (p->width < 1 || p->height < 1 || p->width > 1 << 14 || p->height > 1 << 14 || !p->rgb))
        return status_fail(ERR_INPUT, "%s: %d x %d pixels, expected 1 to %d a side", name, p->width, p->height,
                           1 << 14);
    return status_ok();
}

static Status check_image(const ModelConfig *c, const Conditions *g)
{
    const ModelMedia takes = model_config_media(c);
    const bool own = is_pipeline(c, "WanImageToVideoPipeline");
    TRY(check_picture(g->image, "image"));
    TRY(check_picture(g->last_image, "last image"));
    if (g->image && !takes.image)
        return status_fail(ERR_INPUT, "an image is given, but %s takes none (%s)", c->folder, c->pipeline);
    if (!g->image && takes.needs_image) return status_fail(ERR_INPUT, "%s needs an image (%s)", c->folder, c->pipeline);
    if (!g->last_image) {
        if (c->dit.pos_embed_len) return status_fail(ERR_INPUT, "%s needs an image and a last image", c->folder);
        return status_ok();
    }
    if (!own || c->expand_timesteps || (c->dit.image_dim && !c->dit.pos_embed_len))
        return status_fail(ERR_INPUT, "a last image is given, but %s takes none", c->folder);
    return status_ok();
}

static Status check_sound(const ModelConfig *c, const Conditions *g)
{
    const bool takes = model_config_media(c).sound;
    if (g->sound && !takes)
        return status_fail(ERR_INPUT, "a sound is given, but %s hears none (%s)", c->folder, c->pipeline);
    if (!g->sound && takes) return status_fail(ERR_INPUT, "%s needs a sound to speak (%s)", c->folder, c->pipeline);
    return status_ok();
}

static Status check_control(const ModelConfig *c, const ShotSpec *s, const Conditions *g)
{
    const bool any = g->references || g->video || g->mask || g->control_scales;
    if (any && !c->dit.vace_count)
        return status_fail(ERR_INPUT, "references or a control video are given, but %s takes none (%s)", c->folder,
                           c->pipeline);
    if (g->mask && !g->video) return status_fail(ERR_INPUT, "a control mask is given without a control video");
    if (g->control_scales && g->control_scales != 1 && g->control_scales != c->dit.vace_count)
        return status_fail(ERR_INPUT, "%d control scales, expected 1 or %d", g->control_scales, c->dit.vace_count);
    if (g->references < 0 || g->references > 16)
        return status_fail(ERR_INPUT, "%d reference pictures, expected at most 16", g->references);
    for (int i = 0; i < g->references; i++) TRY(check_picture(&g->reference[i], "reference"));
    if (g->video && (g->video_frames < 1 || g->video_frames > s->frames))
        return status_fail(ERR_INPUT, "a control video of %d frames, expected 1 to %d", g->video_frames, s->frames);
    for (int i = 0; g->video && i < g->video_frames; i++) TRY(check_picture(&g->video[i], "control video"));
    for (int i = 0; g->mask && i < g->video_frames; i++) TRY(check_picture(&g->mask[i], "control mask"));
    return status_ok();
}

/* free() it; NULL when out of memory */
static float *signed_pixels(const Picture *p, int width, int height)
{
    const size_t count = (size_t)width * (size_t)height * 3;
    uint8_t *rgb = picture_resize(p, width, height, PICTURE_LANCZOS);
    float *out = rgb ? memory_large(count, sizeof *out) : NULL;
    for (size_t i = 0; i < count && out; i++) out[i] = picture_signed(rgb[i]);
    free(rgb);
    return out;
}

static Status no_room_for(const Picture *p) { return memory_refused((size_t)p->width * (size_t)p->height, 3); }

/* ---- image to video ------------------------------------------------------------------------------------------------------------ */

typedef struct {
    float *first, *last; /* last may be NULL */
    size_t count;
    int frames;
} Ends;

/* The first and last frames as given, zeros (mid grey) between. */
static void fill_ends(const void *self, int frame, float *out)
{
    const Ends *ends = self;
    const float *from = frame == 0 ? ends->first : frame == ends->frames - 1 ? ends->last : NULL;
    if (from)
        memcpy(out, from, ends->count * sizeof *out);
    else
        memset(out, 0, ends->count * sizeof *out);
}

/* One mask channel per frame of a latent frame: which of them are given. The first stands for a whole group. */
static void fill_given_mask(const Condition *out, int per_latent, bool last, float *mask)
{
    const int64_t pixels = out->dim[2] * out->dim[3], frames = out->dim[1];
    for (int64_t c = 0; c < per_latent; c++)
        for (int64_t f = 0; f < frames; f++) {
            const bool given = f == 0 || (last && f == frames - 1 && c == per_latent - 1);
            for (int64_t p = 0; p < pixels; p++) *mask++ = given ? 1.0f : 0.0f;
        }
}

/* The tokens of each picture, one after the other. */
static Status make_image_tokens(Maker *m, Condition *out)
{
    const VisionConfig *c = &m->e->config->vision;
    const Picture *picture[2] = {m->given->image, m->given->last_image};
    const int count = picture[1] ? 2 : 1, tokens = vision_tokens(c);
    const int64_t pixel_dim[4] = {count, 3, c->image_size, c->image_size}, row_dim[3] = {count, tokens, c->width};
    const size_t pixels = 3 * (size_t)c->image_size * (size_t)c->image_size, rows = (size_t)tokens * (size_t)c->width;
    TRY(engine_need(m->e, PART_VISION));
    if (m->e->config->dit.pos_embed_len && m->e->config->dit.pos_embed_len != count * tokens)
        return status_fail(ERR_INPUT, "pos_embed_seq_len = %d, but %d pictures make %d tokens",
                           m->e->config->dit.pos_embed_len, count, count * tokens);
    float *all;
    TRY_MEMORY(all, (size_t)count * pixels);
    out->image_tokens = count * tokens;
    out->image_rows = memory_get((size_t)count * rows, sizeof *out->image_rows);
    for (int i = 0; i < count; i++) {
        float *one = vision_pixels(c, picture[i]);
        if (!one) {
            free(all);
            return no_room_for(picture[i]);
        }
        memcpy(all + (size_t)i * pixels, one, pixels * sizeof *one);
        free(one);
        ArenaMark mark = backend_mark(m->e->be);
        backend_download(m->e->be, vision_encode(m->e->vision, all + (size_t)i * pixels),
                         out->image_rows + (size_t)i * rows);
        backend_release(m->e->be, mark);
    }
    trace_floats(m->trace, all, 4, pixel_dim, "image.pixels");
    trace_floats(m->trace, out->image_rows, 3, row_dim, "image.embeds");
    free(all);
    TRY(engine_take_failure(m->e));
    return coll_host_broadcast(m->e->group, out->image_rows, (size_t)count * rows * sizeof(float), 0);
}

static Status make_image(Maker *m, Condition *out)
{
    const ModelConfig *c = m->e->config;
    const ShotSpec *s = m->shot;
    const int64_t frame = out->dim[2] * out->dim[3], volume = out->dim[1] * frame;
    Status status = status_ok();
    float *latents = NULL;
    Ends ends = {.first = signed_pixels(m->given->image, s->width, s->height),
                 .last = m->given->last_image ? signed_pixels(m->given->last_image, s->width, s->height) : NULL,
                 .count = (size_t)s->width * (size_t)s->height * 3,
                 .frames = s->frames};
    const Footage v = {fill_ends, &ends, c->expand_timesteps || c->dit.sound_count ? 1 : s->frames, s->width,
                       s->height};
    if (!ends.first || (m->given->last_image && !ends.last)) TRY_OUT(no_room_for(m->given->image));
    if (c->dit.image_dim) TRY_OUT(make_image_tokens(m, out));
    TRY_OUT(latents_encode(m->e, &v, m->trace, m->encoded++, &latents));
    if (c->expand_timesteps) {
        out->first = latents;
        latents = NULL;
    } else if (c->dit.sound_count) {
        out->speaker = latents;
        latents = NULL;
    } else {
        const int masks = c->vae.scale_time;
        out->extra = masks + c->vae.z_dim;
        TRY_MEMORY_OUT(out->channels, out->extra * volume);
        fill_given_mask(out, masks, m->given->last_image != NULL, out->channels);
        memcpy(out->channels + masks * volume, latents, (size_t)(c->vae.z_dim * volume) * sizeof *latents);
    }
out:
    free(latents);
    free(ends.first);
    free(ends.last);
    return status;
}

/* ---- control (VACE) --------------------------------------------------------------------------------------------------------------- */

typedef struct { /* the control video at its size, and which of its pixels are to be generated */
    const Picture *video, *mask;
    int frames, width, height;
    bool reactive; /* this pass keeps what is to be generated; the other keeps the rest */
} Control;

/* mask in [0,1] as the pipeline has it: from -1..1 back to 0..1 */
static void fill_mask(const Control *c, int frame, float *out)
{
    const size_t count = (size_t)c->width * (size_t)c->height * 3;
    float *m = c->mask ? signed_pixels(&c->mask[frame], c->width, c->height) : NULL;
    for (size_t i = 0; i < count; i++) {
        float v = m ? (m[i] + 1.0f) / 2.0f : 1.0f;
        out[i] = v < 0 ? 0 : v > 1 ? 1 : v;
    }
    free(m);
}

static void fill_control(const void *self, int frame, float *out)
{
    const Control *c = self;
    const size_t count = (size_t)c->width * (size_t)c->height * 3;
    float *pixels = c->video ? signed_pixels(&c->video[frame], c->width, c->height) : NULL;
    fill_mask(c, frame, out);
    for (size_t i = 0; i < count; i++) {
        const float generated = out[i] > 0.5f ? 1.0f : 0.0f;
        out[i] = (pixels ? pixels[i] : 0.0f) * (c->reactive ? generated : 1.0f - generated);
    }
    free(pixels);
}

/* The control video's own size in whole latent pixels if these are no more than the shot's, else scaled into it; then cut to
 * whole patches. */
static void control_size(const Maker *m, Control *c)
{
    const ModelConfig *model = m->e->config;
    const int unit = model->vae.scale_space, base = unit * model->dit.patch[1];
    c->width = m->shot->width;
    c->height = m->shot->height;
    if (!c->video) return;
    int width = c->video[0].width / unit * unit, height = c->video[0].height / unit * unit;
    if ((int64_t)width * height > (int64_t)c->width * c->height) {
        const double x = (double)c->width / width, y = (double)c->height / height, scale = x < y ? x : y;
        height = (int)(height * scale);
        width = (int)(width * scale);
    }
    c->width = width / base * base;
    c->height = height / base * base;
}

typedef struct {
    const float *canvas;
    size_t count;
} Still;

static void fill_still(const void *self, int frame, float *out)
{
    const Still *s = self;
    (void)frame;
    memcpy(out, s->canvas, s->count * sizeof *out);
}

/* The picture cut to whole latent pixels (Lanczos), fitted bilinearly into the control's size, centred on white; NULL when out of
 * memory. */
static float *reference_canvas(const Maker *m, const Control *c, const Picture *p)
{
    const int unit = m->e->config->vae.scale_space;
    const int width = p->width < unit ? unit : p->width / unit * unit,
              height = p->height < unit ? unit : p->height / unit * unit;
    const double x = (double)c->width / width, y = (double)c->height / height, scale = y < x ? y : x;
    const int to_width = (int)(width * scale), to_height = (int)(height * scale);
    const int left = (c->width - to_width) / 2, top = (c->height - to_height) / 2;
    const size_t count = (size_t)c->width * (size_t)c->height * 3;
    float *pixels = signed_pixels(p, width, height);
    float *fitted = pixels ? picture_bilinear(pixels, width, height, to_width, to_height) : NULL;
    float *canvas = fitted ? memory_large(count, sizeof *canvas) : NULL;
    for (size_t i = 0; i < count && canvas; i++) canvas[i] = 1.0f;
    for (int row = 0; row < to_height && canvas; row++)
        memcpy(canvas + ((size_t)(top + row) * (size_t)c->width + (size_t)left) * 3,
               fitted + (size_t)row * (size_t)to_width * 3, (size_t)to_width * 3 * sizeof *canvas);
    free(fitted);
    free(pixels);
    return canvas;
}

/* One mask channel per pixel of a latent pixel; of each group of frames the middle one's (nearest-exact). */
static Status fill_control_mask(const Maker *m, const Control *c, const Condition *out, float *channels)
{
    const int unit = m->e->config->vae.scale_space, frames = c->frames;
    const int64_t *dim = out->control_dim, pixels = dim[2] * dim[3];
    const int64_t latent_frames = dim[1] - out->references;
    const float step = (float)frames / (float)latent_frames;
    float *mask;
    TRY_MEMORY(mask, (size_t)c->width * (size_t)c->height * 3);
    for (int64_t f = 0; f < latent_frames; f++) {
        int at = (int)floorf(((float)f + 0.5f) * step);
        fill_mask(c, at < frames ? at : frames - 1, mask);
        for (int k = 0; k < unit * unit; k++)
            for (int64_t y = 0; y < dim[2]; y++)
                for (int64_t x = 0; x < dim[3]; x++)
                    channels[(k * dim[1] + out->references + f) * pixels + y * dim[3] + x] =
                        mask[((y * unit + k / unit) * c->width + x * unit + k % unit) * 3];
    }
    free(mask);
    return status_ok();
}

/* Channels first.. of out->control, frames from.., take latents [z,F,h,w]. */
static void place_latents(const Condition *out, int64_t first, int64_t from, int64_t frames, const float *latents,
                          int z)
{
    const int64_t pixels = out->control_dim[2] * out->control_dim[3];
    for (int64_t c = 0; c < z; c++)
        memcpy(out->control + ((first + c) * out->control_dim[1] + from) * pixels, latents + c * frames * pixels,
               (size_t)(frames * pixels) * sizeof *latents);
}

/* Reference pictures come first, the last one foremost; then the video: what is kept, what is generated, the mask. */
static Status make_control(Maker *m, Condition *out)
{
    const ModelConfig *model = m->e->config;
    const int z = model->vae.z_dim, unit = model->vae.scale_space;
    Control control = {.video = m->given->video, .mask = m->given->mask};
    control.frames = control.video ? m->given->video_frames : m->shot->frames;
    const int64_t frames = (control.frames - 1) / model->vae.scale_time + 1;
    control_size(m, &control);
    if (control.width < 1 || control.height < 1)
        return status_fail(ERR_INPUT, "the control video is smaller than one patch of the model");
    const int64_t dim[4] = {2 * z + unit * unit, frames + m->given->references, control.height / unit,
                            control.width / unit};
    memcpy(out->control_dim, dim, sizeof dim);
    out->references = m->given->references;
    TRY_MEMORY(out->control, dim[0] * dim[1] * dim[2] * dim[3]);
    for (int pass = 0; pass < 2; pass++) {
        float *latents = NULL;
        control.reactive = pass == 1;
        const Footage v = {fill_control, &control, control.frames, control.width, control.height};
        TRY(latents_encode(m->e, &v, m->trace, m->encoded++, &latents));
        place_latents(out, pass * z, out->references, frames, latents, z);
        free(latents);
    }
    for (int i = 0; i < out->references; i++) {
        float *latents = NULL, *canvas = reference_canvas(m, &control, &m->given->reference[i]);
        if (!canvas) return no_room_for(&m->given->reference[i]);
        const Still still = {canvas, (size_t)control.width * (size_t)control.height * 3};
        const Footage v = {fill_still, &still, 1, control.width, control.height};
        Status status = latents_encode(m->e, &v, m->trace, m->encoded++, &latents);
        free(canvas);
        TRY(status);
        place_latents(out, 0, out->references - 1 - i, 1, latents, z);
        free(latents);
    }
    TRY(fill_control_mask(m, &control, out, out->control + 2 * z * dim[1] * dim[2] * dim[3]));
    for (int i = 0; i < model->dit.vace_count; i++)
        out->control_scale[i] =
            m->given->control_scales ? m->given->control_scale[m->given->control_scales > 1 ? i : 0] : 1.0f;
    trace_floats(m->trace, out->control, 4, dim, "control");
    return status_ok();
}

/* ---- all -------------------------------------------------------------------------------------------------------------------------- */

Status condition_make(Engine *e, const ShotSpec *s, const Conditions *c, const Trace *trace, Condition *out)
{
    static const Conditions none = {0};
    Maker m = {.e = e, .shot = s, .given = c ? c : &none, .trace = trace};
    *out = (Condition){0};
    engine_latent_dims(e->config, s, out->dim);
    TRY(check_image(e->config, m.given));
    TRY(check_control(e->config, s, m.given));
    TRY(check_sound(e->config, m.given));
    out->dim[1] += m.given->references;
    Status status = status_ok();
    if (m.given->image) status = make_image(&m, out);
    if (e->config->dit.vace_count) status = make_control(&m, out);
    if (failed(status)) condition_clear(out);
    return status;
}
