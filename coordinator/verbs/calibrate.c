/* calibrate.c - `reelwright calibrate CAMPAIGN`: measures which denoising steps of a campaign may be left out, and writes the file that
 * `reuse: {cache: FILE}` names. */
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/options.h"
#include "coordinator/campaign/campaign.h"
#include "coordinator/verbs/verbs.h"

static Status check_adapters(const Campaign *c)
{
    char *first = shot_adapters(&c->shot[0].spec);
    bool same = true;
    for (int64_t i = 1; i < c->shot_count && same; i++) {
        char *other = shot_adapters(&c->shot[i].spec);
        same = strcmp(first, other) == 0;
        free(other);
    }
    free(first);
    if (same) return status_ok();
    return status_fail(ERR_INPUT,
                       "%s: loras: rows have different adapters, and a cache is measured for one set of them; make a "
                       "campaign of its own for the rows of each",
                       c->file);
}

/* Spread over the campaign's renders: neighbours may be alike. */
static Status measure(const Campaign *c, CalibrateOptions *o, int prompts, Calibrate *calibrate)
{
    int count = c->shot_count < prompts ? (int)c->shot_count : prompts;
    if (count < 1) return status_fail(ERR_INPUT, "%s: no render to measure: every row is refused", c->file);
    TRY(check_adapters(c));
    ShotSpec *shot = memory_get((size_t)count, sizeof *shot);
    for (int i = 0; i < count; i++) shot[i] = c->shot[c->shot_count * i / count].spec;
    o->model_folder = c->model_folder;
    o->model_hash = c->model_hash;
    Status status = calibrate(shot, count, o);
    free(shot);
    return status;
}

Status verb_calibrate(int argc, char **argv, Calibrate *calibrate)
{
    CalibrateOptions o = {.bound = 0.02, .output = "cache.json", .dtype = -1};
    int prompts = 4, first;
    const Option table[] = {
        {"output", OPTION_TEXT, &o.output, .value = "FILE.json", .help = "what is found (cache.json)"},
        {"bound", OPTION_REAL, &o.bound, .value = "X", .min = 0, .max = 1,
         .help = "how far latents may differ from those of all steps, relative to their size (0.02)"},
        {"prompts", OPTION_INT, &prompts, .value = "N", .min = 1, .max = 1000,
         .help = "renders of the campaign that are measured (4), each about seven times"},
        {"backend", OPTION_CHOICE, &o.backend, .value = WORK_BACKENDS},
        {"dtype", OPTION_CHOICE, &o.dtype, .value = WORK_DTYPES},
        {"threads", OPTION_INT, &o.threads, .value = "N", .min = 1, .max = 4096, .help = "as `render` takes them"}};
    const Usage usage = {
        .verb = "calibrate",
        .arguments = "CAMPAIGN.yaml [options]",
        .about = "Measures which denoising steps may add what the transformer's layers added in the step before\n"
                 "instead of running them, for the campaign's model, size, settings and adapters. `reuse: {cache:\n"
                 "FILE.json}` in the campaign then does so.",
        .option = table,
        .option_count = sizeof table / sizeof *table,
        .min_arguments = 1,
        .max_arguments = 1};
    Campaign *c = NULL;
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    if (o.dtype < 0) o.dtype = work_default_dtype(o.backend);
    TRY(work_check_dtype(o.backend, o.dtype));
    TRY(file_check_place(o.output));
    TRY(campaign_load_without_cache(argv[first], &c));
    Status status = c->model->dit.sound_count
                        ? status_fail(ERR_INPUT,
                                      "%s speaks: it makes a video in several pieces, for which nothing is measured; "
                                      "give a campaign of another model",
                                      c->model_folder)
                        : measure(c, &o, prompts, calibrate);
    campaign_free(&c);
    return status;
}
