/* cache.c - the file that `reelwright calibrate` wrote: which steps reuse what the step before computed, and for which shots that was
 * measured. */
#include "coordinator/campaign/cache.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/json_fields.h"

static const char format[] = "reelwright-cache 1";

static void compare_int(Fields *f, const char *key, int wanted)
{
    const int got = fields_int(f, key, -1, -1, INT32_MAX);
    if (got != wanted) fields_fault(f, key, " is %d, and the campaign's %d", got, wanted);
}

static void compare_real(Fields *f, const char *key, double wanted)
{
    const double got = fields_real(f, key, -1, -1, 1e6);
    if (got < wanted - 1e-4 || got > wanted + 1e-4) fields_fault(f, key, " is %g, and the campaign's %g", got, wanted);
}

static void compare(Fields *f, const ShotSpec *s, const char *model_hash)
{
    if (strcmp(fields_text(f, "format", ""), format) != 0)
        fields_fault(f, "format", " is not \"%s\": no file that `reelwright calibrate` wrote", format);
    if (strcmp(fields_text(f, "model_sha256", ""), model_hash) != 0)
        fields_fault(f, "model_sha256", " is another model's than the campaign's (%.12s)", model_hash);
    compare_int(f, "width", s->width);
    compare_int(f, "height", s->height);
    compare_int(f, "frames", s->frames);
    compare_int(f, "steps", s->steps);
    compare_real(f, "guidance", s->guidance);
    compare_real(f, "guidance_2", s->guidance_2);
    compare_real(f, "flow_shift", s->flow_shift);
    compare_real(f, "guided_from", s->guided_from);
    compare_real(f, "guided_to", s->guided_to);
    if (strcmp(fields_text(f, "scheduler", ""), s->scheduler) != 0)
        fields_fault(f, "scheduler", " is another than the campaign's (%s)", s->scheduler);
    if (strcmp(fields_text(f, "sigmas", ""), s->sigmas) != 0)
        fields_fault(f, "sigmas", " are others than the campaign's (%s)", *s->sigmas ? s->sigmas : "standard");
}

Status campaign_cache_read(const char *path, const ShotSpec *s, const char *model_hash, char **reused_steps,
                           char **adapters)
{
    Fields f;
    *reused_steps = NULL;
    fields_open("", path, &f);
    compare(&f, s, model_hash);
    const double bound = fields_real(&f, "bound", 0, 0, 1), apart = fields_real(&f, "difference", 2, 0, 1e9);
    if (apart > bound) fields_fault(&f, "difference", " is %g, more than its bound, %g", apart, bound);
    ShotSpec reused = *s;
    *adapters = text_copy(fields_text(&f, "adapters", ""));
    reused.reused_steps = text_copy(fields_text(&f, "reused_steps", ""));
    Status status = fields_close(&f);
    if (!failed(status) && *reused.reused_steps) {
        bool *step = memory_get((size_t)s->steps, sizeof *step);
        status = status_at(shot_read_reused(&reused, step), "%s", path);
        free(step);
        if (!failed(status)) *reused_steps = text_copy(reused.reused_steps);
    }
    free(reused.reused_steps);
    return status;
}
