/* model_config_shot.c - what a model renders when nobody says otherwise, and what it can render: sizes, frames, steps. */
#include "model_config_shot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/chain.h"
#include "common/file.h"

enum { MAX_WIDTH = 1 << 17 };

static int grid(const ModelConfig *c, int axis) { return c->vae.scale_space * c->dit.patch[axis]; }

/* Sides are multiples of it: of whole patches, and of the largest in which a model that speaks sees the frames before. */
static int side_step(const ModelConfig *c, int axis)
{
    return c->dit.sound_count ? c->vae.scale_space * CHAIN_LARGEST_PATCH : grid(c, axis);
}

static int most_pixels(const ModelConfig *c, int axis)
{
    return c->dit.rope_max_len < MAX_WIDTH / grid(c, axis) ? c->dit.rope_max_len * grid(c, axis) : MAX_WIDTH;
}

static int clip_size(const ModelConfig *c, int axis, int pixels)
{
    const int most = most_pixels(c, axis), step = side_step(c, axis);
    if (pixels > most) pixels = most;
    pixels -= pixels % step;
    return pixels ? pixels : step;
}

/* Latent frames come in patches; all frames but the first in groups of scale_time. */
static int clip_frames(const ModelConfig *c, int frames)
{
    int latent = (frames - 1) / c->vae.scale_time + 1, patch = c->dit.patch[0];
    if (latent / patch > c->dit.rope_max_len) latent = c->dit.rope_max_len * patch;
    latent -= latent % patch;
    return ((latent ? latent : patch) - 1) * c->vae.scale_time + 1;
}

Status model_config_read_defaults(ModelConfig *c)
{
    ShotSpec *s = &c->defaults;
    const bool speaks = c->dit.sound_count > 0;
    *s = (ShotSpec){.prompt = text_copy(""),
                    .width = clip_size(c, 2, 832),
                    .height = clip_size(c, 1, 480),
                    .frames = speaks ? CHAIN_CLIP_FRAMES - CHAIN_DROPPED : clip_frames(c, 81),
                    .fps = c->expand_timesteps ? 24 : 16, /* what TI2V-5B was trained at, and the others */
                    .steps = speaks ? 40 : 50,
                    .guidance = speaks ? 4.5 : 5.0,
                    .flow_shift = c->scheduler.flow_shift};
    memcpy(s->scheduler, c->scheduler.kind, sizeof s->scheduler);
    char *path = path_join(c->folder, "reelwright.json");
    bool there = file_exists(path);
    free(path);
    if (!there) {
        s->negative = text_copy("");
        return status_ok();
    }
    Fields f;
    fields_open(c->folder, "reelwright.json", &f);
    distilled_read(&f, &c->distilled);
    distilled_apply(&c->distilled, s);
    s->width = fields_int(&f, "width", s->width, 1, MAX_WIDTH);
    s->height = fields_int(&f, "height", s->height, 1, MAX_WIDTH);
    s->frames = fields_int(&f, "frames", s->frames, 1, 1 << 16);
    s->fps = fields_int(&f, "fps", s->fps, 1, 240);
    s->steps = fields_int(&f, "steps", s->steps, 1, 1000);
    s->guidance = fields_real(&f, "guidance", s->guidance, 0, 100);
    s->flow_shift = fields_real(&f, "flow_shift", s->flow_shift, 1e-3, 1e3);
    const char *scheduler = fields_text(&f, "scheduler", NULL), *sigmas = fields_text(&f, "sigmas", NULL);
    if (scheduler) snprintf(s->scheduler, sizeof s->scheduler, "%s", scheduler);
    if (sigmas) shot_set_sigmas(s, sigmas);
    s->negative = text_copy(fields_text(&f, "negative", ""));
    if (!failed(f.status)) f.status = status_at(model_config_check_shot(c, s), "%s", f.path);
    return fields_close(&f);
}

static Status check_side(const ModelConfig *c, const char *name, int axis, int pixels)
{
    int step = side_step(c, axis);
    if (pixels < step || pixels % step)
        return status_fail(ERR_INPUT, "%s = %d, expected a multiple of %d (such as %d)", name, pixels, step,
                           clip_size(c, axis, pixels > 0 ? pixels + step / 2 : step));
    if (pixels > most_pixels(c, axis))
        return status_fail(ERR_INPUT, "%s = %d, expected at most %d", name, pixels, clip_size(c, axis, MAX_WIDTH));
    return status_ok();
}

static Status check_frames(const ModelConfig *c, int frames)
{
    int group = c->vae.scale_time, lower = clip_frames(c, frames < 1 ? 1 : frames);
    if (frames < 1 || frames > 1 << 16) return status_fail(ERR_INPUT, "frames = %d, expected 1 to %d", frames, 1 << 16);
    if (c->dit.sound_count) return status_ok(); /* made in clips, as many as it takes */
    if (frames == lower) return status_ok();
    if ((frames - 1) / group + 1 > c->dit.rope_max_len * c->dit.patch[0])
        return status_fail(ERR_INPUT, "frames = %d, expected at most %d", frames, lower);
    return status_fail(ERR_INPUT, "frames = %d, expected %dk+1 (%d or %d)", frames, group, lower,
                       lower + group * c->dit.patch[0]);
}

static Status check_real(const char *name, double x, double min, double max)
{
    if (x >= min && x <= max) return status_ok(); /* false for NaN */
    return status_fail(ERR_INPUT, "%s = %g, expected %g to %g", name, x, min, max);
}

/* What the shot shares with others or leaves out. */
static Status check_savings(const ShotSpec *s)
{
    if (s->trunk_steps < 0 || s->trunk_steps >= s->steps)
        return status_fail(ERR_INPUT, "trunk-steps = %d, expected 0 to %d: the last step is the shot's own",
                           s->trunk_steps, s->steps - 1);
    if (s->reused_steps) {
        bool reused[1000];
        TRY(shot_read_reused(s, reused));
    }
    if (s->guided_from == 0 && s->guided_to == 0) return status_ok();
    if (!(s->guided_from > 0 && s->guided_from <= 1 && s->guided_to >= 0 && s->guided_to < s->guided_from))
        return status_fail(ERR_INPUT, "guided = %g to %g, expected noise levels from at most 1 down to at least 0",
                           s->guided_from, s->guided_to);
    return status_ok();
}

static Status check_schedule(const ShotSpec *s)
{
    const bool unipc = strcmp(s->scheduler, "unipc") == 0, distilled = strcmp(s->sigmas, "distilled") == 0;
    if (!unipc && strcmp(s->scheduler, "euler") != 0 && strcmp(s->scheduler, "lcm") != 0)
        return status_fail(ERR_INPUT, "scheduler = \"%.15s\", expected unipc, euler or lcm", s->scheduler);
    if (*s->sigmas && !distilled && strcmp(s->sigmas, "classic") != 0)
        return status_fail(ERR_INPUT, "sigmas = \"%.15s\", expected standard, classic or distilled", s->sigmas);
    if (distilled && unipc)
        return status_fail(ERR_INPUT, "sigmas = distilled, expected scheduler euler or lcm beside it, not unipc");
    return status_ok();
}

Status model_config_check_shot(const ModelConfig *c, const ShotSpec *s)
{
    TRY(check_side(c, "width", 2, s->width));
    TRY(check_side(c, "height", 1, s->height));
    TRY(check_frames(c, s->frames));
    if (s->frames_most && !c->dit.sound_count)
        return status_fail(ERR_INPUT,
                           "frames = voice, expected a number: %s does not speak, so its clips do not follow a voice",
                           c->folder);
    if (c->dit.sound_count && s->fps != CHAIN_FPS)
        return status_fail(ERR_INPUT, "fps = %d, expected %d: a model that speaks hears the sound at that rate", s->fps,
                           CHAIN_FPS);
    if (s->fps < 1 || s->fps > 240) return status_fail(ERR_INPUT, "fps = %d, expected 1 to 240", s->fps);
    if (s->steps < 1 || s->steps > 1000) return status_fail(ERR_INPUT, "steps = %d, expected 1 to 1000", s->steps);
    TRY(check_real("guidance", s->guidance, 0, 100));
    TRY(check_real("guidance-2", s->guidance_2, 0, 100));
    TRY(check_real("flow-shift", s->flow_shift, 1e-3, 1e3));
    if (s->guidance_2 > 0 && !c->two_transformers)
        return status_fail(ERR_INPUT, "guidance-2 = %g, but %s has no second transformer", s->guidance_2, c->folder);
    TRY(check_schedule(s));
    return check_savings(s);
}
