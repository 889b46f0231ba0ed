#include "render_options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/work.h"
#include "engine/wan/split.h"
#include "kernels/coll.h"
#include "worker/verbs/render_loras.h"

Status render_options_read(RenderOptions *o, int argc, char **argv, int *first)
{
    const Option table[] = {
        {"model", OPTION_TEXT, &o->model, .value = "DIR", .required = true,
         .help = "model folder in the diffusers layout"},
        {"prompt", OPTION_TEXT, &o->prompt, .value = "TEXT", .required = true},
        {"negative", OPTION_TEXT, &o->negative, .value = "TEXT", .help = "what to show, and what not"},
        {"output", OPTION_TEXT, &o->output, .value = "FILE.mp4", .required = true,
         .help = "H.264, written whole or not at all"},
        {"width", OPTION_INT, &o->width, .value = "W", .min = 1, .max = 1 << 17},
        {"height", OPTION_INT, &o->height, .value = "H", .min = 1, .max = 1 << 17},
        {"frames", OPTION_INT, &o->frames, .value = "N", .min = 1, .max = 1 << 16},
        {"fps", OPTION_INT, &o->fps, .value = "F", .min = 1, .max = 240, .help = "size, length (4k+1), rate"},
        {"steps", OPTION_INT, &o->steps, .value = "S", .min = 1, .max = 1000},
        {"flow-shift", OPTION_REAL, &o->flow_shift, .value = "X", .min = 1e-3, .max = 1e3,
         .help = "denoising steps, shift of their noise levels"},
        {"scheduler", OPTION_CHOICE, &o->scheduler, .value = "unipc|euler|lcm"},
        {"sigmas", OPTION_CHOICE, &o->sigmas, .value = "standard|classic|distilled",
         .help = "solver; levels of diffusers, of it before 0.37, of distilled weights"},
        {"guidance", OPTION_REAL, &o->guidance, .value = "G", .min = 0, .max = 100},
        {"guidance-2", OPTION_REAL, &o->guidance_2, .value = "G", .min = 0, .max = 100,
         .help = "by the prompt; G of the second transformer"},
        {"guided", OPTION_TEXT, &o->guided, .value = "FROM:TO", .help = "guidance at these noise levels only (1:0)"},
        {"trunk-steps", OPTION_INT, &o->trunk_steps, .value = "K", .min = 0, .max = 999},
        {"trunk-prompt", OPTION_TEXT, &o->trunk_prompt, .value = "TEXT",
         .help = "the first K steps (0) with this prompt"},
        {"reused-steps", OPTION_TEXT, &o->reused_steps, .value = "I[,I...]",
         .help = "steps that add what the layers added last"},
        {"seed", OPTION_SEED, &o->seed, .value = "N", .help = "of the noise, as torch draws it (0)"},
        {"noise", OPTION_TEXT, &o->noise, .value = "FILE.h5", .help = "start from /noise [C,F,H,W] instead"},
        {"image", OPTION_TEXT, &o->image, .value = "PNG"},
        {"last-image", OPTION_TEXT, &o->last_image, .value = "PNG"},
        {"audio", OPTION_TEXT, &o->audio, .value = "FILE",
         .help = "first and last frame, what is said, for models that take them"},
        {"reference", OPTION_TEXTS, &o->references, .value = "PNG"},
        {"control-video", OPTION_TEXT, &o->control_video, .value = "DIR|FILE"},
        {"control-mask", OPTION_TEXT, &o->control_mask, .value = "DIR|FILE"},
        {"control-scale", OPTION_TEXT, &o->control_scale, .value = "X[,X...]", .help = "for VACE models"},
        {"lora", OPTION_TEXTS, &o->loras, .value = "FILE[:SCALE[:high|low]]",
         .help = "adapters, merged into the transformer (1; both, if it has two)"},
        {"checkpoint", OPTION_TEXT, &o->checkpoint, .value = "FILE.h5"},
        {"checkpoint-every", OPTION_INT, &o->checkpoint_every, .value = "N", .min = 1, .max = 1000},
        {"resume", OPTION_FLAG, &o->resume, .help = "keep the state every N steps (about every minute), go on from it"},
        {"mixed", OPTION_FLAG, &o->mixed, .help = "go on also from what another processor or split began"},
        {"trace", OPTION_TEXT, &o->trace, .value = "FILE.h5"},
        {"trace-blocks", OPTION_FLAG, &o->trace_blocks, .help = "write every stage; embeddings and blocks too"},
        {"dtype", OPTION_CHOICE, &o->dtype, .value = WORK_DTYPES},
        {"backend", OPTION_CHOICE, &o->backend, .value = WORK_BACKENDS,
         .help = "what computes (cpu), in which type (fp32, or int8; on cuda bf16, or fp8, int8)"},
        {"vae-dtype", OPTION_CHOICE, &o->vae_dtype, .value = "fp32|bf16",
         .help = "the autoencoder and the image encoder (fp32)"},
        {"threads", OPTION_INT, &o->threads, .value = "N", .min = 1, .max = 4096},
        {"group-size", OPTION_INT, &o->group_size, .value = "T", .min = 1, .max = COLL_MAX_RANKS,
         .help = "CPU threads (all, of each rank its share); ranks that share the shot (1)"},
        {"split", OPTION_TEXT, &o->split, .value = "GxSxT",
         .help = "how they share it: guidance halves x token parts x weight parts (chosen)"},
        {"memory", OPTION_REAL, &o->memory_gb, .value = "GB", .min = 0.001, .max = 1e6,
         .help = "a rank takes at most: else in tiles, divided (half the machine)"},
        {.name = "quiet", .kind = OPTION_FLAG, .to = &o->quiet},
        {"json", OPTION_FLAG, &o->json, .help = "no progress on stderr; one JSON object on stdout"},
    };
    const Usage usage = {.verb = "render",
                         .arguments = "--model DIR --prompt TEXT --output FILE.mp4 [options]",
                         .about = "Renders one clip. What is not given comes from the model folder.",
                         .option = table,
                         .option_count = sizeof table / sizeof *table};
    return options_read(&usage, argc, argv, first);
}

/* ---- what is refused before anything is loaded ---------------------------------------------------------------------------- */

Status render_options_fit(const RenderOptions *o, const ModelConfig *c)
{
    const ModelMedia takes = model_config_media(c);
    const struct {
        const char *name;
        bool given, taken, needed;
    } row[] = {{"--image", o->image != NULL, takes.image, takes.needs_image},
               {"--last-image", o->last_image != NULL, takes.last_image, takes.needs_last_image},
               {"--reference", o->references.count > 0, takes.control, false},
               {"--control-video", o->control_video != NULL, takes.control, o->control_mask != NULL},
               {"--control-mask", o->control_mask != NULL, takes.control, false},
               {"--control-scale", o->control_scale != NULL, takes.control, false},
               {"--audio", o->audio != NULL, takes.sound, takes.sound}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        if (row[i].given && !row[i].taken)
            return status_fail(ERR_INPUT, "%s: %s takes none (%s)", row[i].name, o->model, c->pipeline);
        if (row[i].needed && row[i].taken && !row[i].given)
            return status_fail(ERR_INPUT, "%s is missing: %s needs it (%s)", row[i].name, o->model, c->pipeline);
    }
    return status_ok();
}

static const int64_t least_free_bytes = 1 << 20; /* a short clip of a small model takes less, no other does */

static Status check_folder_of(const char *option, const char *path)
{
    if (!path) return status_ok();
    char *target;
    if (!*path_name(path)) return status_fail(ERR_INPUT, "%s %s: a folder; expected a file name", option, path);
    TRY(status_at(file_target(path, &target), "%s", option));
    char *folder = path_folder(target);
    free(target);
    Status status = status_ok();
    if (access(folder, W_OK | X_OK) != 0)
        status = status_errno(ERR_INPUT, "%s %s: cannot write into %s", option, path, folder);
    else
        status = status_at(file_check_space(folder, least_free_bytes), "%s", option);
    free(folder);
    return status;
}

typedef struct {
    const char *option, *path; /* NULL: not given */
} Named;

static bool is_same_file(const char *a, const char *b)
{
    struct stat first, second;
    if (strcmp(a, b) == 0) return true;
    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

/* What is written must be neither what is read nor written twice. */
static Status check_apart(const Named *written, const Named *other)
{
    if (!written->path || !other->path || !is_same_file(written->path, other->path)) return status_ok();
    return status_fail(ERR_INPUT, "%s %s: %s is the same file; expected another one", written->option, written->path,
                       other->option);
}

static Status check_files(const RenderOptions *o)
{
    const Named written[] = {{"--output", o->output}, {"--checkpoint", o->checkpoint}, {"--trace", o->trace}},
                read[] = {{"--image", o->image},
                          {"--last-image", o->last_image},
                          {"--audio", o->audio},
                          {"--control-video", o->control_video},
                          {"--control-mask", o->control_mask},
                          {"--noise", o->noise}};
    const size_t count = sizeof written / sizeof *written;
    for (size_t i = 0; i < count; i++) {
        TRY(check_folder_of(written[i].option, written[i].path));
        for (size_t k = i + 1; k < count; k++) TRY(check_apart(&written[i], &written[k]));
        for (size_t k = 0; k < sizeof read / sizeof *read; k++) TRY(check_apart(&written[i], &read[k]));
        for (int k = 0; k < o->references.count; k++)
            TRY(check_apart(&written[i], &(Named){"--reference", o->references.text[k]}));
        for (int k = 0; k < o->loras.count; k++) TRY(check_apart(&written[i], &(Named){"--lora", o->loras.text[k]}));
    }
    return status_ok();
}

Status render_options_check(const RenderOptions *o)
{
    Split split;
    if (o->split) TRY(split_parse(o->split, &split));
    if (o->split && split.guidance * split.sequence * split.tensor != o->group_size)
        return status_fail(ERR_INPUT, "--split %s: the product is not --group-size %d", o->split, o->group_size);
    if (o->resume && !o->checkpoint)
        return status_fail(ERR_INPUT, "--resume: expected --checkpoint FILE.h5 to go on from");
    if (o->mixed && !o->resume) return status_fail(ERR_INPUT, "--mixed: expected --resume, which it widens");
    if (o->checkpoint_every && !o->checkpoint)
        return status_fail(ERR_INPUT, "--checkpoint-every: expected --checkpoint FILE.h5 to write to");
    if (o->trace_blocks && !o->trace)
        return status_fail(ERR_INPUT, "--trace-blocks: expected --trace FILE.h5 to write to");
    return check_files(o);
}

/* "1,0.75": one number, or one for each control layer */
static Status read_scales(const char *text, const ModelConfig *c, ShotMedia *m)
{
    m->scale = memory_get(VACE_MAX_LAYERS, sizeof *m->scale);
    for (const char *at = text; at;) {
        char *end;
        double x = strtod(at, &end);
        if (end == at || (*end && *end != ',') || !isfinite(x) || m->scale_count == VACE_MAX_LAYERS)
            return status_fail(ERR_INPUT, "--control-scale %s: expected numbers with commas between", text);
        m->scale[m->scale_count++] = x;
        at = *end ? end + 1 : NULL;
    }
    if (m->scale_count != 1 && m->scale_count != c->dit.vace_count)
        return status_fail(ERR_INPUT, "--control-scale %s: %d numbers, expected 1 or %d", text, m->scale_count,
                           c->dit.vace_count);
    return status_ok();
}

static ShotFile file_of(const char *path) { return (ShotFile){.path = path ? text_copy(path) : NULL}; }

static Status make_media(const RenderOptions *o, const ModelConfig *c, ShotSpec *s)
{
    if (!o->image && !o->last_image && !o->references.count && !o->control_video && !o->control_mask &&
        !o->control_scale && !o->audio)
        return status_ok();
    if (o->references.count > SHOT_MAX_REFERENCES)
        return status_fail(ERR_INPUT, "--reference: %d pictures, expected at most %d", o->references.count,
                           SHOT_MAX_REFERENCES);
    if (!s->media) s->media = memory_get(1, sizeof *s->media);
    ShotMedia *m = s->media;
    m->image = file_of(o->image);
    m->last_image = file_of(o->last_image);
    m->control_video = file_of(o->control_video);
    m->control_mask = file_of(o->control_mask);
    m->audio = file_of(o->audio);
    m->reference = memory_get((size_t)o->references.count, sizeof *m->reference);
    for (int i = 0; i < o->references.count; i++) m->reference[m->reference_count++] = file_of(o->references.text[i]);
    return o->control_scale ? read_scales(o->control_scale, c, m) : status_ok();
}

/* "0.95:0.3": noise levels */
static Status read_guided(const char *text, ShotSpec *s)
{
    char *end = NULL;
    if (!text) return status_ok();
    s->guided_from = strtod(text, &end);
    const bool two = end != text && *end == ':';
    const char *second = two ? end + 1 : "";
    s->guided_to = strtod(second, &end);
    if (!two || end == second || *end || !(s->guided_from > s->guided_to && s->guided_from <= 1 && s->guided_to >= 0))
        return status_fail(ERR_INPUT,
                           "--guided %s: expected noise levels FROM:TO that fall, from at most 1 to at least 0", text);
    return status_ok();
}

Status render_options_shot(const RenderOptions *o, const ModelConfig *c, ShotSpec *s)
{
    static const char *const scheduler[] = {"unipc", "euler", "lcm"}, *const sigmas[] = {"standard", "classic",
                                                                                         "distilled"};
    shot_copy(s, &c->defaults);
    TRY(render_loras_read(&o->loras, s));
    free(s->prompt);
    s->prompt = text_copy(o->prompt);
    if (o->negative) {
        free(s->negative);
        s->negative = text_copy(o->negative);
    }
    s->seed = o->seed;
    if (o->width) s->width = o->width;
    if (o->height) s->height = o->height;
    if (o->frames) s->frames = o->frames;
    if (o->fps) s->fps = o->fps;
    if (o->steps) s->steps = o->steps;
    if (!isnan(o->guidance)) s->guidance = o->guidance;
    if (!isnan(o->guidance_2)) s->guidance_2 = o->guidance_2;
    if (!isnan(o->flow_shift)) s->flow_shift = o->flow_shift;
    TRY(read_guided(o->guided, s));
    if ((o->trunk_steps > 0) != (o->trunk_prompt != NULL))
        return status_fail(ERR_INPUT, "--trunk-steps and --trunk-prompt: expected both or none");
    s->trunk_steps = o->trunk_steps;
    if (o->trunk_prompt) s->trunk_prompt = text_copy(o->trunk_prompt);
    if (o->reused_steps) s->reused_steps = text_copy(o->reused_steps);
    if (o->scheduler >= 0) snprintf(s->scheduler, sizeof s->scheduler, "%s", scheduler[o->scheduler]);
    if (o->sigmas >= 0) shot_set_sigmas(s, sigmas[o->sigmas]);
    return make_media(o, c, s);
}
